{{
    config(
        materialized='appended',
        order_by=['change_id', 'bucket_at'],
        meta={'change_logs': ['int_changed_hours']},
    )
}}

-- Built as far as the index of events:
-- depends_on: {{ ref('int_event_index') }}

with

event_moves as (
    select * from {{ ref('int_event_moves') }}
),

model_hours as (
    select * from {{ ref('int_called_models') }}
),

model_names as (
    select * from {{ ref('int_model_names') }}
),

changed_price_spans as (
    select * from {{ ref('int_changed_price_spans') }}
    where {{ arrived('noticed_at') }}
),

-- Asked of raw, which finds rows by their arrival. What lands there meanwhile is named early, and
-- again by the build that has it in the index.
arrived as (
    select distinct
        occurred_hour as bucket_at,
        toLowCardinality('arrival') as reason
    from {{ ref('stg_agent__events') }}
    where {{ arrived('loaded_at') }}
),

-- What OpenTelemetry told, and what that changed of what it had told before.
told as (
    select distinct
        bucket_at,
        toLowCardinality('telemetry') as reason
    from {{ ref('int_otel_changed_hours') }}
    where {{ unseen('change_id') }}
),

-- Hours that hold an older copy of an event whose newest copy says another hour.
left_behind as (
    select distinct
        occurred_hour as bucket_at,
        toLowCardinality('moved') as reason
    from event_moves
    where {{ unseen('change_id') }}
),

-- Names that producers use, with the spans of time in which they are priced otherwise now.
priced_otherwise as (
    select
        model_names.reported_provider as reported_provider,
        model_names.reported_model as reported_model,
        spans.workspace_id as for_workspace_id,
        spans.from_at as from_at,
        spans.until_at as until_at
    from model_names
    inner join changed_price_spans as spans
        on model_names.price_model = spans.model
    where
        spans.kind = 'price'
        and spans.provider
        = if(spans.is_override, model_names.provider, model_names.price_provider)
    union all
    select
        provider as reported_provider,
        model as reported_model,
        workspace_id as for_workspace_id,
        from_at,
        until_at
    from changed_price_spans
    where kind = 'name'
),

with_other_prices as (
    select distinct
        model_hours.occurred_hour as bucket_at,
        toLowCardinality('price') as reason
    from model_hours
    inner join priced_otherwise
        on
            model_hours.reported_provider = priced_otherwise.reported_provider
            and model_hours.reported_model = priced_otherwise.reported_model
    where
        for_workspace_id in ('', model_hours.workspace_id)
        and from_at < model_hours.occurred_hour + interval 1 hour
        and until_at > model_hours.occurred_hour
),

changed as (
    select * from arrived
    union all
    select * from told
    union all
    select * from left_behind
    union all
    select * from with_other_prices
),

final as (
    select
        {{ change_id() }} as change_id,
        bucket_at,
        reason
    from changed
)

select * from final
