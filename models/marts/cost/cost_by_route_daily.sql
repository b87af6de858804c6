{{
    config(
        materialized='bucketed',
        order_by=['day', 'workspace_id', 'route'],
        meta={
            'change_logs': ['int_changed_hours'],
            'bucket': 'day',
            'bucket_column': 'day',
            'partition': 'month',
        },
    )
}}

-- depends_on: {{ ref('int_changed_hours') }}

{{ cost_by('route') }}
