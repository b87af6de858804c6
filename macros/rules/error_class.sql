{#
    One class for what producers spell a hundred ways; empty where the work did not fail. The first rule that fits wins:
    a timeout is one whatever its error says, and the classes that an on-call person acts on differently come before
    the general ones. Compared in lower case, against the producer's error_type.
#}
{% macro error_class(status, error_type) -%}
    toLowCardinality(multiIf(
        {{ status }} not in ('error', 'timeout'), '',
        {{ status }} = 'timeout' or match(lower({{ error_type }}), 'time[d_ -]*out|deadline|http_(408|504)|_(408|504)$'), 'timeout',
        {{ error_type }} = '', 'unknown',
        match(lower({{ error_type }}), 'rate.?limit|too.?many|throttl|quota|429'), 'rate_limit',
        match(lower({{ error_type }}), 'overload|529|capacity'), 'overloaded',
        match(lower({{ error_type }}), 'context.?(length|window)|max.?tokens|too.?long'), 'context_length',
        match(lower({{ error_type }}), 'content.?(filter|policy)|safety|moderation|refus'), 'content_filter',
        match(lower({{ error_type }}), 'auth|permission|forbidden|denied|api.?key|401|403'), 'permission',
        match(lower({{ error_type }}), 'not.?found|404|no.?such|unknown.?(tool|model)'), 'not_found',
        match(lower({{ error_type }}), 'connect|network|dns|socket|reset|eof|unreachable|ssl|tls'), 'connection',
        match(lower({{ error_type }}), 'unavailable|internal|server.?error|bad.?gateway|5[0-9][0-9]'), 'server_error',
        match(lower({{ error_type }}), 'invalid|validation|argument|schema|parse|json|bad.?request|400|422|type.?error|value.?error'), 'invalid_request',
        match(lower({{ error_type }}), 'tool'), 'tool_error',
        'other'
    ))
{%- endmacro %}
