// SPDX-License-Identifier: Apache-2.0
/*
 * The northbound RPC methods, described: those of each kind are derived from its description,
 * the general ones are tables in methods_general.c. Dispatch, validation of params, vpcctl, the
 * OpenRPC document and the reference all read this registry.
 */
#ifndef LIB_METHODS_H
#define LIB_METHODS_H

#include "lib/resource.h"

enum method_verb {
	METHOD_GENERAL, /* apply, status, session.list … */
	METHOD_CREATE,
	METHOD_GET,
	METHOD_LIST,
	METHOD_UPDATE,
	METHOD_DELETE,
	METHOD_EXTRA, /* a kind's further verbs: security_group.add_rules */
};

enum method_flags {
	METHOD_WRITES = 1 << 0, /* changes something: not for readers */
	METHOD_WAITS = 1 << 1,  /* takes wait and wait_timeout_ms */
	METHOD_PAGED = 1 << 2,  /* takes limit and cursor, answers {items, cursor} */
	METHOD_STREAM = 1 << 3, /* after the answer come notifications on the same connection */
};

struct method {
	const char *name;        /* "vpc.create", "apply" */
	const char *verb_name;   /* "create", "add_rules"; of a general method its name */
	const struct kind *kind; /* NULL: general */
	enum method_verb verb;
	unsigned flags;
	const char *help;
	const struct field *params; /* all of them, control parameters too; ends with FIELD_END */
	const struct field *result; /* one field: type, flags and members of the result */
	const char *example;        /* params as JSON text; may be NULL */
	/* Rules about several parameters; they are valid and canonical. */
	bool (*check)(const json_t *params, struct resource_error *error);
};

/* In order: general ones, then each kind's. */
size_t method_count(void);
const struct method *method_at(size_t index);
/* By RPC name, NULL when there is none. Constant time enough for dispatch. */
const struct method *method_find(const char *name);
/* A kind's method of that verb ("create", "add_rules"); NULL when there is none. */
const struct method *method_of(const struct kind *kind, const char *verb_name);
#define METHOD_FOREACH(method)                                                                     \
	for (size_t method##_i = 0;                                                                \
		method##_i < method_count() && ((method) = method_at(method##_i)); method##_i++)

/* Must a call give the parameter? (An update needs only those that say which object.) */
bool method_requires(const struct method *method, const struct field *param);

#define METHOD_WAIT_TIMEOUT_MS 5000

/* What every change may say beside its fields. */
struct method_control {
	bool wait;
	uint32_t wait_timeout_ms;
};

/*
 * Validates a call's params (NULL and null count as {}). *out is a new reference: canonical,
 * defaults filled in, the control parameters moved to *control (may be NULL). In `apply`, resources
 * are valid whole objects with `kind` (mode RESOURCE_APPLY). False with ERROR_INVALID_PARAMS when
 * params is no object, otherwise as resource_validate.
 */
bool method_validate(const struct method *method, const json_t *params, json_t **out,
	struct method_control *control, struct resource_error *error);

#endif
