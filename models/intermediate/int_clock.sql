{{ config(materialized='view') }}

select * from {{ ref('int_clock_ticks') }}
order by change_id desc
limit 1
