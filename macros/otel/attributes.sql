{#
    Attributes by the names the seed gives them. Every attribute of a record is looked up once in the list of names (a
    constant, hence a hash table), which leaves the few that mean something as (code, value), best first; a field takes
    the first of its own. 7 µs a record with 30 fields; asking the map for every spelling of every field costs ten
    times that.
#}

{# Canonical fields; the place is the code's thousands, so new ones go to the end. #}
{% macro otel_fields() %}
    {{ return([
        'operation', 'ai_kind', 'sdk_operation', 'mcp_method', 'pending', 'provider', 'response_model', 'model',
        'response_id', 'input_tokens', 'output_tokens', 'total_tokens', 'cache_read_tokens', 'cache_write_tokens',
        'cache_write_1h_tokens', 'reasoning_tokens', 'input_audio_tokens', 'output_audio_tokens', 'input_image_tokens',
        'output_image_tokens', 'first_token_s', 'first_token_ms', 'session_id', 'run_id', 'agent', 'entity_name',
        'tool_name', 'tool_call_id', 'error_type', 'status', 'success', 'cost_usd', 'unit_cost_input',
        'unit_cost_output', 'latency_ms', 'actor_id', 'route', 'prompt_hash', 'service_tier', 'environment', 'service',
        'body_type', 'body_event_id', 'modality_total', 'uncached_input_tokens',
    ]) }}
{% endmacro %}

{# The names of all attributes that mean something, and beside them their codes (field, then precedence). #}
{% macro otel_attribute_names() -%}
    (select groupArray(attribute) from (select * from {{ ref('otel_attribute_aliases') }} order by attribute))
{%- endmacro %}

{% macro otel_attribute_codes() -%}
    (
        select groupArray(toUInt32(
            1000 * indexOf(['{{ otel_fields() | join("', '") }}'], field) + precedence
        ))
        from (select * from {{ ref('otel_attribute_aliases') }} order by attribute)
    )
{%- endmacro %}

{# What a record says, as (code, value), best first: its own attributes before those of its resource. #}
{% macro otel_said(attributes, resource) -%}
    {%- set names, codes = otel_attribute_names(), otel_attribute_codes() -%}
    arraySort(
        pair -> pair.1,
        arrayFilter(
            pair -> pair.1 != 0 and pair.2 != '',
            arrayConcat(
                arrayMap(
                    (name, said) -> (transform(toString(name), {{ names }}, {{ codes }}, toUInt32(0)), said),
                    mapKeys({{ attributes }}), mapValues({{ attributes }})
                ),
                arrayMap(
                    pair -> (if(pair.1 = 0, toUInt32(0), pair.1 + toUInt32(500)), pair.2),
                    arrayMap(
                        (name, said) -> (transform(toString(name), {{ names }}, {{ codes }}, toUInt32(0)), said),
                        mapKeys({{ resource }}), mapValues({{ resource }})
                    )
                )
            )
        )
    )
{%- endmacro %}

{# The value of a field, '' where nobody said it. #}
{% macro otel_text(field) -%}
    arrayFirst(pair -> intDiv(pair.1, 1000) = {{ otel_fields().index(field) + 1 }}, said).2
{%- endmacro %}

{# A name that stands for a person or a prompt: what an address was masked in is none. #}
{% macro otel_hash(field) -%}
    if({{ otel_text(field) }} like '%[email]%' or {{ otel_text(field) }} like '%@%', '', {{ otel_text(field) }})
{%- endmacro %}

{# A count, null where it was not said or is none. #}
{% macro otel_count(field) -%}
    if(
        ifNull(toFloat64OrNull({{ otel_text(field) }}) between 0 and {{ otel_policy('token_limit') }}, false),
        toUInt64(toFloat64OrZero({{ otel_text(field) }})),
        null
    )
{%- endmacro %}

{# A number that is not below zero, null where it was not said. #}
{% macro otel_number(field) -%}
    if(
        ifNull(toFloat64OrNull({{ otel_text(field) }}) between 0 and 604800000, false),
        toFloat64OrNull({{ otel_text(field) }}),
        null
    )
{%- endmacro %}

{# Money as it was written, null where it was not said or is out of what the contract takes. #}
{% macro otel_usd(field, most) -%}
    if(
        ifNull(toFloat64OrNull({{ otel_text(field) }}) between 0 and {{ most }}, false),
        coalesce(
            toDecimal64OrNull({{ otel_text(field) }}, 12), toDecimal64(toFloat64OrZero({{ otel_text(field) }}), 12)
        ),
        null
    )
{%- endmacro %}

{#
    A model's name as all who report one call spell it: without the provider before it, the date of its snapshot, and
    what says where or how it is served.
#}
{% macro otel_model_core(name) -%}
    replaceRegexpOne(
        replaceRegexpOne(
            replaceRegexpOne(lower({{ name }}), '^.*/', ''),
            '^((us|eu|apac|global)\\.)?(anthropic|amazon|meta|cohere|mistral)\\.', ''
        ),
        '([-@](\\d{4}-\\d{2}-\\d{2}|\\d{8}|latest|default))?(-v\\d+)?(:[a-z0-9.-]+)?$', ''
    )
{%- endmacro %}

{# A version as text that compares as the version does: 1.10 after 1.9. #}
{% macro otel_version_key(version) -%}
    arrayStringConcat(
        arrayMap(
            part -> leftPad(part, 6, '0'),
            arraySlice(extractAll({{ version }}, '\\d+'), 1, 3)
        ),
        '.'
    )
{%- endmacro %}
