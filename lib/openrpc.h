// SPDX-License-Identifier: Apache-2.0
/*
 * The OpenRPC 1.2.6 document of the northbound API, made from the method and kind descriptions.
 */
#ifndef LIB_OPENRPC_H
#define LIB_OPENRPC_H

#include <jansson.h>

struct field;

/* The whole document, a new reference. */
json_t *openrpc_document(void);

/* The JSON Schema (draft 7) of what a field accepts in a call, or holds in a result. New reference.
 */
json_t *openrpc_schema_input(const struct field *field);
json_t *openrpc_schema_result(const struct field *field);

#endif
