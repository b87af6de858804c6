"""Which attribute names hold content, identifiers or secrets: the deny list of rule "no content", as data.

Names are matched word by word, whatever their case and separators (`userId`, `user.id`, `USER-ID`, `userid`), numbers
between the words ignored (`gen_ai.prompt.0.content`). Sources: OpenTelemetry GenAI semantic conventions, OpenInference,
OpenLLMetry/Traceloop, Vercel AI SDK, LangSmith, Langfuse, Logfire, MLflow, Segment, and what people write by hand.
"""

from typing import Final


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CONTENT_ENDINGS: Final = _names("""
prompt prompts prompt_template completion completions message messages content contents input inputs
output outputs text texts body transcript transcription utterance instruction instructions argument arguments args
response reply question answer response_data request_data user_query search_query chat_history message_history
conversation_history
conversation_title tool_result function_result prompt_variables template_variables tool_parameters invocation_parameters
request_parameters function_call tool_calls tool_definitions all_messages_events stacktrace stack_trace traceback
payload db_statement url_query llm_request llm_response choices chat_ctx input_json output_json input_data output_data
final_result agent_task smolagents_task prompt_preview new_context bash_command full_command command_line logfire_msg
""")
"""A name that ends in one of these holds content, unless its value is a number, a boolean or null: a measure."""

CONTENT_NAMES: Final = _names("""
reasoning thinking query document documents chunk chunks snippet summary
conversation history embedding embeddings vector
""")
"""Content when it is the whole name; likewise unless its value is a number, a boolean or null."""

CONTENT_FAMILIES: Final = _names("""
gen_ai_prompt gen_ai_completion gen_ai_content gen_ai_input_messages gen_ai_output_messages gen_ai_system_instructions
gen_ai_tool_definitions gen_ai_tool_call_arguments gen_ai_tool_call_result gen_ai_retrieval_documents
gen_ai_retrieval_query gen_ai_evaluation_explanation
llm_prompts llm_completions llm_input_messages llm_output_messages llm_prompt_template llm_invocation_parameters
llm_tools llm_function_call llm_request_functions llm_choices input_value output_value retrieval_documents
reranker_input_documents reranker_output_documents reranker_query document_content document_metadata embedding_text
embedding_vector embedding_embeddings message_content message_contents message_tool_calls tool_call_function
tool_parameters traceloop_entity_input traceloop_entity_output
ai_prompt ai_response_text ai_response_object ai_response_reasoning ai_response_tool_calls ai_tool_call_args
ai_tool_call_input ai_tool_call_output ai_tool_call_result ai_result ai_value ai_values ai_embedding ai_embeddings
ai_response_files gcp_vertex_agent_llm gcp_vertex_agent_data gcp_vertex_agent_tool genkit_metadata_context
crew_agents crew_tasks mlflow_chat_tools http_request_body http_response_body
""")
"""A name that starts with one of these holds content, unless it ends in a harmless word (`gen_ai.prompt.version`)."""

IDENTIFIER_ENDINGS: Final = _names("""
email emails e_mail email_address mail_address user_id user_ids end_user_id end_user user_name user_names user_login
first_name last_name full_name middle_name given_name family_name nick_name display_name real_name maiden_name surname
customer_name person_name contact_name employee_name patient_name member_name recipient_name sender_name
user_account_id user_account_uuid account_uuid
person_id employee_id patient_id member_id visitor_id anonymous_id distinct_id
phone phones phone_number mobile_number mobile_phone telephone telephone_number msisdn fax_number
address addresses street street_address postal_code zip_code post_code
ip ips ip_address ip_addr remote_addr client_addr forwarded_for ipv
ssn social_security social_security_number passport passport_number national_id tax_id driver_license
date_of_birth birth_date birthday dob credit_card card_number iban cvv
""")
"""A name that ends in one of these identifies a person: dropped whatever its value."""

IDENTIFIER_NAMES: Final = _names("""
name user users llm_user session_user current_user enduser customer_email mail login mobile fax traits user_info
user_profile traceloop_association_properties mlflow_user mlflow_trace_user process_owner
""")

SECRET_ENDINGS: Final = _names("""
authorization api_key password passwords passwd pwd passphrase secret secrets client_secret secret_key access_key
private_key access_token refresh_token id_token auth_token bearer_token session_token api_token csrf_token oauth_token
jwt credential credentials cookie cookies set_cookie
""")

SECRET_NAMES: Final = _names("token auth bearer headers request_headers response_headers")

SECRET_FAMILIES: Final = _names("http_request_header http_response_header")

HARMLESS_NAMES: Final = frozenset({"server_address"})
"""Full names that a rule above would hit and that describe machines, not people."""

MEASURE_WORDS: Final = frozenset(
    _names("cost costs price prices token tokens usd rate count bytes chars size limit max min ms")
)
"""`cost_input`, `tokens.output`: a content ending right after one of these is a measure and stays."""

HARMLESS_ENDINGS: Final = frozenset(
    _names("hash version id tokens token count length type role reason ms chars bytes size name")
)
"""Last words that make a name of a CONTENT_FAMILIES harmless."""
