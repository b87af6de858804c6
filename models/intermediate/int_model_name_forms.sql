{{ config(materialized='table', order_by=['reported_provider', 'reported_model']) }}

with

model_hours as (
    select * from {{ ref('int_called_models') }}
),

provider_aliases as (
    select * from {{ ref('provider_aliases') }}
),

model_aliases as (
    select * from {{ ref('model_aliases') }}
),

model_name_rules as (
    select * from {{ ref('model_name_rules') }}
),

-- What a provider may be called: its name in the catalogue, or an alias.
provider_names as (
    select distinct
        'equals' as kind,
        provider as pattern,
        provider,
        toUInt16(0) as precedence
    from model_name_rules
    union all
    select
        kind,
        pattern,
        provider,
        precedence
    from provider_aliases
    where match_on = 'provider'
),

-- How the form of a model's name tells who serves it.
model_patterns as (
    select * from provider_aliases
    where match_on = 'model'
),

-- The few rules about providers and the aliases go to every name as arrays: a join a rule would
-- read the names a dozen times.
reported as (
    select distinct
        toString(reported_provider) as reported_provider,
        toString(reported_model) as reported_model,
        lower(trimBoth(reported_provider)) as provider_name,
        lower(trimBoth(reported_model)) as model_name,
        (select {{ rules_as_array() }} from provider_names) as provider_rules,
        (select {{ rules_as_array() }} from model_patterns) as guesses,
        (
            select
                cast(
                    groupArray((provider, lower(alias), lower(model))),
                    'Array(Tuple(provider String, alias String, model String))'
                )
            from model_aliases
        ) as aliases
    from model_hours
),

-- `provider/model`, also behind a resource path such as Bedrock's ARN or Vertex's
-- publishers/google/models/.
split_names as (
    select
        *,
        replaceRegexpOne(
            model_name,
            '^.*(^|/)(models|foundation-model|inference-profile|deployments|endpoints)/',
            ''
        ) as short_name,
        if(position(short_name, '/') > 0, splitByChar('/', short_name)[1], '') as prefix,
        arrayFirst(
            rule -> rule.kind = 'equals' and rule.pattern = prefix, provider_rules
        ) as prefix_rule,
        if(
            prefix != '' and prefix_rule.kind != '',
            substring(short_name, length(prefix) + 2),
            short_name
        ) as bare_name
    from reported
),

-- Who serves it: as reported, else by the model's prefix, else by the form of its name. A rule
-- without a provider, such as that of a gateway, asks the model.
with_provider as (
    select
        * except (provider_rules, guesses),
        arrayFirst(
            rule -> {{ name_matches('provider_name', 'rule.kind', 'rule.pattern') }},
            provider_rules
        ) as provider_rule,
        arrayFirst(
            rule -> {{ name_matches('model_name', 'rule.kind', 'rule.pattern') }}
            or {{ name_matches('bare_name', 'rule.kind', 'rule.pattern') }},
            guesses
        ) as guess,
        multiIf(
            provider_rule.provider != '', provider_rule.provider,
            provider_name != '' and provider_rule.kind = '', provider_name,
            prefix_rule.provider != '', prefix_rule.provider,
            guess.provider
        ) as provider
    from split_names
),

-- The name in the forms that rules are tried on, in this order; last without the date of a
-- snapshot.
with_forms as (
    select
        reported_provider,
        reported_model,
        provider,
        arrayFirst(
            alias -> alias.provider in ('', provider)
            and alias.alias in (model_name, short_name, bare_name),
            arrayReverseSort(alias -> alias.provider != '', aliases)
        ) as alias,
        alias.model != '' as is_aliased,
        if(is_aliased, alias.model, bare_name) as base_name,
        if(is_aliased, [base_name], arrayDistinct([
            model_name,
            {{ with_dashes_in_date('model_name') }},
            short_name,
            bare_name,
            {{ with_dashes_in_date('bare_name') }},
            replaceOne(bare_name, '@', '-'),
            if(
                provider = 'aws',
                replaceRegexpOne(bare_name, '^[a-z]{2,6}(-gov)?[.]', ''),
                bare_name
            )
        ])) as exact_forms,
        replaceRegexpOne(
            replaceRegexpOne(base_name, '(-v[0-9]+)?(:[0-9]+)?$', ''),
            '[-@](20[0-9]{2}-?[01][0-9]-?[0-3][0-9]|[01][0-9]-?[0-9]{2}|[0-9]{3}|latest|default)$',
            ''
        ) as undated_name,
        arrayDistinct(arrayPushBack(exact_forms, undated_name)) as forms
    from with_provider
),

final as (
    select
        reported_provider,
        reported_model,
        provider,
        base_name,
        is_aliased,
        exact_forms,
        forms
    from with_forms
)

select * from final
