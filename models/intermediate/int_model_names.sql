{{ config(materialized='table', order_by=['reported_provider', 'reported_model']) }}

with

name_forms as (
    select * from {{ ref('int_model_name_forms') }}
),

model_name_rules as (
    select * from {{ ref('model_name_rules') }}
),

exact_rules as (
    select * from model_name_rules
    where kind = 'equals'
),

pattern_rules as (
    select * from model_name_rules
    where kind != 'equals'
),

forms as (
    select
        reported_provider,
        reported_model,
        provider,
        arrayJoin(arrayEnumerate(forms)) as form_number,
        forms[form_number] as form
    from name_forms
),

matches as (
    select
        forms.reported_provider as reported_provider,
        forms.reported_model as reported_model,
        forms.form_number as form_number,
        forms.form as form,
        rules.step as step,
        rules.price_provider as price_provider,
        rules.price_model as price_model,
        rules.model as model
    from forms
    inner join exact_rules as rules
        on
            forms.provider = rules.provider
            and forms.form = rules.pattern
    union all
    select
        forms.reported_provider as reported_provider,
        forms.reported_model as reported_model,
        forms.form_number as form_number,
        forms.form as form,
        rules.step as step,
        rules.price_provider as price_provider,
        rules.price_model as price_model,
        rules.model as model
    from forms
    inner join pattern_rules as rules
        on forms.provider = rules.provider
    where
        {{ name_matches('forms.form', 'rules.kind', 'rules.pattern') }}
        and (rules.unless = '' or not match(forms.form, rules.unless))
),

best_matches as (
    select
        reported_provider,
        reported_model,
        argMin(form, (form_number, step, price_model)) as best_form,
        argMin(price_provider, (form_number, step, price_model)) as best_price_provider,
        argMin(price_model, (form_number, step, price_model)) as best_price_model,
        argMin(model, (form_number, step, price_model)) as best_model
    from matches
    group by
        reported_provider,
        reported_model
),

final as (
    select
        toLowCardinality(name_forms.reported_provider) as reported_provider,
        toLowCardinality(name_forms.reported_model) as reported_model,
        toLowCardinality(name_forms.provider) as provider,
        toLowCardinality(coalesce(best_matches.best_model, name_forms.base_name)) as model,
        toLowCardinality(
            coalesce(toString(best_matches.best_price_provider), name_forms.provider)
        ) as price_provider,
        toLowCardinality(
            coalesce(best_matches.best_price_model, name_forms.base_name)
        ) as price_model,
        toLowCardinality(multiIf(
            best_matches.best_model is null, 'none',
            name_forms.is_aliased, 'alias',
            has(name_forms.exact_forms, best_matches.best_form), 'name',
            'snapshot'
        )) as resolved_by
    from name_forms
    left join best_matches
        on
            name_forms.reported_provider = best_matches.reported_provider
            and name_forms.reported_model = best_matches.reported_model
)

select * from final
