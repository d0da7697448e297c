// SPDX-License-Identifier: Apache-2.0
/* Between openrpc.c, which makes the document, and openrpc_schema.c, which makes its schemas. */
#ifndef LIB_OPENRPC_INTERNAL_H
#define LIB_OPENRPC_INTERNAL_H

#include "lib/openrpc.h"
#include "lib/resource.h"

/* A closed object with the table's members. */
json_t *openrpc_schema_members(const struct field *fields, bool result);

/* An object of apply and export: with `kind`, read-only members being ignored. */
json_t *openrpc_schema_resource(const struct kind *kind);

#endif
