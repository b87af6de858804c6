{#
    From what a record said to one report: what kind of thing it is, whose, what it used. Three steps: the body of a log as
    a map, the fields, and usage in this house's counting (input with the cache, output with the reasoning).
#}

{# The top level of a JSON body; nested values as JSON. #}
{% macro otel_body_map(body) -%}
    mapFromArrays(
        arrayMap(pair -> pair.1, JSONExtractKeysAndValuesRaw({{ body }}) as raw_pairs),
        arrayMap(
            pair -> if(startsWith(pair.2, '"'), JSONExtractString(concat('[', pair.2, ']'), 1), if(pair.2 = 'null', '', pair.2)),
            raw_pairs
        )
    )
{%- endmacro %}

{# The conventions as one array, most specific first: scope by its beginning, version range, provider by its beginning. #}
{% macro otel_conventions() -%}
    select groupArray((
        scope,
        {{ otel_version_key('version_from') }},
        if(version_to = '', '~', {{ otel_version_key('version_to') }}),
        provider,
        model,
        input_includes_cache,
        output_includes_reasoning
    ))
    from (
        select * from {{ ref('otel_usage_conventions') }}
        order by length(scope) desc, length(provider) desc, length(model) desc, version_from desc
    )
{%- endmacro %}

{# One row a row of `said`: the canonical fields. #}
{% macro otel_map_reports(said) %}
    select
        workspace_id,
        trace_key,
        trace_id,
        report_id,
        span_id,
        parent_id,
        is_log,
        name,
        scope_name,
        scope_version,
        started_at,
        ended_at,
        arraySort(arrayFilter(
            found -> found != '',
            arrayMap(
                key -> transform(
                    key,
                    (select groupArray(source || ':' || value) from (select * from {{ ref('otel_operations') }} order by source, value)),
                    (
                        select groupArray(toString(precedence) || ' ' || kind || ' ' || dialect)
                        from (select * from {{ ref('otel_operations') }} order by source, value)
                    ),
                    ''
                ),
                arrayFlatten(arrayMap(
                    asked -> if(asked.2 = '', [], [concat(asked.1, ':', asked.3), concat(asked.1, ':*')]),
                    [
                        ('sdk_operation', {{ otel_text('sdk_operation') }}, splitByChar(' ', {{ otel_text('sdk_operation') }})[1]),
                        ('mcp_method', {{ otel_text('mcp_method') }}, {{ otel_text('mcp_method') }}),
                        ('operation', {{ otel_text('operation') }}, lower({{ otel_text('operation') }})),
                        ('ai_kind', {{ otel_text('ai_kind') }}, trim(both '"' from lower({{ otel_text('ai_kind') }}))),
                        ('body_type', if(is_log, {{ otel_text('body_type') }}, ''), {{ otel_text('body_type') }})
                    ]
                ))
            )
        )) as operations,
        {{ otel_text('pending') }} = 'pending_span' as is_pending,
        -- the call
        -- MLflow writes text as JSON does, in quotes.
        trim(both '"' from {{ otel_text('provider') }}) as reported_provider,
        {{ otel_text('response_model') }} as response_model,
        trim(both '"' from {{ otel_text('model') }}) as request_model,
        if(response_model != '', response_model, request_model) as reported_model,
        {{ otel_text('response_id') }} as response_id,
        {% for field in [
            'input_tokens', 'output_tokens', 'total_tokens', 'cache_read_tokens', 'cache_write_tokens',
            'cache_write_1h_tokens', 'reasoning_tokens', 'input_audio_tokens', 'output_audio_tokens',
            'input_image_tokens', 'output_image_tokens', 'uncached_input_tokens',
        ] %}
        {{ otel_count(field) }} as said_{{ field }},
        {% endfor %}
        coalesce(
            {{ otel_number('first_token_s') }} * 1000, {{ otel_number('first_token_ms') }}, toFloat64(first_event_ms)
        ) as time_to_first_token_ms,
        {{ otel_text('service_tier') }} as service_tier,
        {{ otel_hash('prompt_hash') }} as prompt_hash,
        -- the tool
        {{ otel_text('tool_name') }} as said_tool_name,
        {{ otel_text('tool_call_id') }} as tool_call_id,
        {{ otel_text('entity_name') }} as entity_name,
        -- who and where
        {{ otel_text('agent') }} as said_agent,
        {{ otel_text('session_id') }} as session_id,
        {{ otel_text('run_id') }} as run_id,
        {{ otel_hash('actor_id') }} as actor_id,
        {{ otel_text('route') }} as route,
        if(decided_environment != '', toString(decided_environment), {{ otel_text('environment') }}) as environment,
        if(reporting_service != '', toString(reporting_service), {{ otel_text('service') }}) as service,
        -- the outcome
        lower({{ otel_text('status') }}) as said_status,
        lower({{ otel_text('success') }}) as said_success,
        -- Python's class as some print it.
        replaceRegexpOne(
            if({{ otel_text('error_type') }} != '', {{ otel_text('error_type') }}, if(is_failed, exception_type, '')),
            '^<class \'(.*)\'>$', '\\1'
        ) as error_type,
        is_failed,
        if(
            is_log,
            {{ otel_number('latency_ms') }},
            (toUnixTimestamp64Nano(ended_at) - toUnixTimestamp64Nano(started_at)) / 1000000
        ) as latency_ms,
        -- money
        {{ otel_usd('cost_usd', 100000) }} as reported_cost_usd,
        {{ otel_usd('unit_cost_input', 1000) }} as unit_cost_input_usd,
        {{ otel_usd('unit_cost_output', 1000) }} as unit_cost_output_usd,
        -- the rest
        {{ otel_text('body_event_id') }} as body_event_id,
        arraySort(arrayFilter(
            (name, said_value) ->
                match(lower(name), 'token|usage')
                and not match(lower(name), 'max|limit|per_|persecond|time|budget|type|cost|id$')
                and toFloat64OrNull(said_value) is not null
                and transform(name, {{ otel_attribute_names() }}, {{ otel_attribute_codes() }}, toUInt32(0)) = 0,
            mapKeys(attributes), mapValues(attributes)
        )) as unknown_token_attributes,
        appended_at,
        loaded_at,
        version
    from {{ said }}
{% endmacro %}

{#
    Usage as the contract counts it. A scope's convention says what its input and output leave out; a part that exceeds
    its whole says it too, whatever the convention. A count that was not said stays null.
#}
{% macro otel_normalise_usage(mapped) %}
    with

    classified as (
        select
            *,
            splitByChar(' ', operations[1]) as operation_words,
            multiIf(
                is_pending, 'none',
                -- Google ADK's span of tools that ran side by side, each of which has its own.
                said_tool_name = '(merged tools)', 'none',
                length(operations) > 0 and operation_words[2] = 'call'
                and reported_model = '' and response_id = '' and reported_provider = ''
                and coalesce(said_input_tokens, said_output_tokens, said_total_tokens) is null, 'step',
                length(operations) > 0, operation_words[2],
                coalesce(said_input_tokens, said_output_tokens, said_total_tokens) is not null
                or (response_id != '' and reported_model != ''), 'call',
                said_tool_name != '', 'tool',
                ''
            ) as kind,
            arrayFirst(
                rule ->
                    startsWith(scope_name, rule.1)
                    and (
                        scope_version = ''
                        or (
                            {{ otel_version_key('scope_version') }} >= rule.2
                            and {{ otel_version_key('scope_version') }} <= rule.3
                        )
                    )
                    and startsWith(lower(reported_provider), rule.4)
                    and position(lower(reported_model), rule.5) > 0,
                ({{ otel_conventions() }})
            ) as convention,
            convention.1 != '' as has_convention
        from {{ mapped }}
    ),

    counted as (
        select
            *,
            ifNull(said_cache_read_tokens, 0) + ifNull(said_cache_write_tokens, 0) as cached_tokens,
            -- Some say the whole and one part only.
            coalesce(
                said_input_tokens,
                if(said_total_tokens >= said_output_tokens, toUInt64(said_total_tokens - said_output_tokens), null)
            ) as input_without,
            multiIf(
                said_output_tokens is not null, said_output_tokens,
                kind = 'embedding', toUInt64(0),
                said_total_tokens >= said_input_tokens, toUInt64(said_total_tokens - said_input_tokens),
                null
            ) as output_without,
            -- A whole that is more than its two parts says what they leave out, whatever the convention.
            toInt64(said_total_tokens) - said_input_tokens - said_output_tokens as left_out,
            ifNull(
                cached_tokens > 0
                and (left_out = cached_tokens or left_out = cached_tokens + ifNull(said_reasoning_tokens, 0))
                and left_out != ifNull(said_reasoning_tokens, 0),
                false
            ) as is_cache_left_out,
            ifNull(
                said_reasoning_tokens > 0
                and (left_out = said_reasoning_tokens or left_out = cached_tokens + said_reasoning_tokens)
                and left_out != cached_tokens,
                false
            ) as is_reasoning_left_out
        from classified
    ),

    whole as (
        select
            *,
            -- Who says what is left without the cache says what the whole has in it.
            multiIf(
                said_uncached_input_tokens is not null,
                greatest(ifNull(input_without, toUInt64(0)), assumeNotNull(said_uncached_input_tokens) + cached_tokens),
                (has_convention and not convention.6)
                or is_cache_left_out
                or ifNull(cached_tokens > input_without, false),
                input_without + cached_tokens,
                input_without
            ) as input_tokens,
            output_without + multiIf(
                has_convention and not convention.7 and said_reasoning_tokens is null
                and ifNull(left_out > 0, false) and not is_cache_left_out,
                toUInt64(assumeNotNull(left_out)),
                (has_convention and not convention.7)
                or is_reasoning_left_out
                or ifNull(said_reasoning_tokens > output_without, false),
                ifNull(said_reasoning_tokens, toUInt64(0)),
                toUInt64(0)
            ) as output_tokens
        from counted
    )

    select
        workspace_id,
        trace_key,
        trace_id,
        report_id,
        span_id,
        parent_id,
        is_log,
        if(entity_name != '', entity_name, name) as name,
        started_at,
        ended_at,
        toStartOfHour(toDateTime(started_at, 'UTC')) as started_hour,
        toLowCardinality(scope_name) as scope_name,
        toLowCardinality(scope_version) as scope_version,
        toLowCardinality(multiIf(
            kind = '', '', length(operations) > 0, operation_words[3], 'plain'
        )) as dialect,
        toLowCardinality(if(kind = 'none', '', kind)) as kind,
        toBool(kind in ('call', 'embedding')) as is_call,
        toLowCardinality(reported_provider) as reported_provider,
        toLowCardinality(reported_model) as reported_model,
        toLowCardinality({{ otel_model_core('if(request_model != \'\', request_model, response_model)') }}) as model_core,
        response_id,
        cast(input_tokens as Nullable(UInt64)) as input_tokens,
        cast(output_tokens as Nullable(UInt64)) as output_tokens,
        said_cache_read_tokens as cache_read_tokens,
        said_cache_write_tokens as cache_write_tokens,
        said_reasoning_tokens as reasoning_tokens,
        toBool(ifNull(input_tokens > 0, false) or ifNull(output_tokens > 0, false)) as has_usage,
        if(kind in ('call', 'embedding'), time_to_first_token_ms, null) as time_to_first_token_ms,
        {{ otel_context() }} as context,
        prompt_hash,
        if(
            kind = 'tool',
            if(
                said_tool_name != '', said_tool_name,
                if(entity_name != '', entity_name, replaceRegexpOne(name, '^(execute_tool|tools/call|running tool:) ', ''))
            ),
            ''
        ) as tool_name,
        tool_call_id,
        multiIf(
            said_agent != '', said_agent,
            kind != 'agent', '',
            entity_name != '', entity_name,
            replaceRegexpOne(name, '^invoke_agent ', '')
        ) as agent,
        session_id,
        run_id,
        actor_id,
        route,
        toLowCardinality(environment) as environment,
        toLowCardinality(service) as service,
        toLowCardinality(multiIf(
            said_status in ('ok', 'error', 'timeout', 'cancelled'), said_status,
            not is_failed and said_success not in ('false', '0') and error_type = '' and kind != 'error',
            if(is_log and said_success = '', '', 'ok'),
            match(lower(error_type), 'timeout|timed.?out|deadline'), 'timeout',
            match(lower(error_type), 'cancel'), 'cancelled',
            'error'
        )) as status,
        toLowCardinality(error_type) as error_type,
        if(ifNull(latency_ms between 0 and 604800000, false), latency_ms, null) as latency_ms,
        -- Who does not know a price says 0; that is for the catalogue to say.
        if(
            is_call and reported_cost_usd = 0 and ifNull(input_tokens, 0) + ifNull(output_tokens, 0) > 0,
            null, reported_cost_usd
        ) as reported_cost_usd,
        unit_cost_input_usd,
        unit_cost_output_usd,
        body_event_id,
        if(kind = '', [], unknown_token_attributes) as unknown_token_attributes,
        appended_at,
        loaded_at,
        version
    from whole
{% endmacro %}

{# What has no column of its own and still prices or explains a call: its tier, an hour's cache, tokens by modality. #}
{% macro otel_context() -%}
    {% set pairs = ['cache_write_1h_tokens', 'input_audio_tokens', 'output_audio_tokens', 'input_image_tokens', 'output_image_tokens'] -%}
    arrayStringConcat(
        arrayFilter(
            part -> part != '',
            [
                if(service_tier in ('', 'default', 'auto', 'standard'), '', concat('"service_tier":', toJSONString(service_tier))),
                {%- for pair in pairs %}
                if(ifNull(said_{{ pair }}, 0) = 0, '', concat('"{{ pair }}":', toString(said_{{ pair }}))),
                {%- endfor %}
                if(
                    said_total_tokens is not null and said_input_tokens is null and said_output_tokens is null,
                    concat('"total_tokens":', toString(said_total_tokens)), ''
                )
            ]
        ),
        ','
    )
{%- endmacro %}
