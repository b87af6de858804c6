{{ config(materialized='view') }}

select * from {{ ref('int_model_hours') }}
union distinct
select * from {{ ref('int_otel_model_hours') }}
