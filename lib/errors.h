// SPDX-License-Identifier: Apache-2.0
/*
 * The codes of JSON-RPC errors: the protocol's own (JSON-RPC 2.0, section 5.1) and ours.
 */
#ifndef LIB_ERRORS_H
#define LIB_ERRORS_H

/* X(symbol, code, name, help) */
#define ERROR_CODES(X)                                                                             \
	X(ERROR_PARSE, -32700, "parse_error", "the message is not JSON")                           \
	X(ERROR_INVALID_REQUEST, -32600, "invalid_request", "the JSON is not a request")           \
	X(ERROR_METHOD_NOT_FOUND, -32601, "method_not_found", "there is no such method")           \
	X(ERROR_INVALID_PARAMS, -32602, "invalid_params", "params is not an object")               \
	X(ERROR_INTERNAL, -32603, "internal_error", "the server failed; its log says how")         \
	X(ERROR_INVALID, 1, "invalid", "a bad field: data.path and data.reason say which and why") \
	X(ERROR_NOT_FOUND, 2, "not_found",                                                         \
		"the named object, or one that a field refers to, does not exist")                 \
	X(ERROR_ALREADY_EXISTS, 3, "already_exists", "an object of this kind has that name")       \
	X(ERROR_CONFLICT, 4, "conflict", "overlapping range, address taken, or stale revision")    \
	X(ERROR_IN_USE, 5, "in_use", "others refer to the object: data.referrers")                 \
	X(ERROR_EXHAUSTED, 6, "exhausted",                                                         \
		"no address, VNI, port, capacity or quota left: data.what")                        \
	X(ERROR_UNAVAILABLE, 7, "unavailable",                                                     \
		"a component that the call needs is away; after a change with wait: stored, but "  \
		"not yet obeyed everywhere (data.revision, data.nodes)")                           \
	X(ERROR_DENIED, 8, "denied", "the caller may not")

enum error_code {
#define X(symbol, code, name, help) symbol = code,
	ERROR_CODES(X)
#undef X
};

/* "invalid" …; "error" for a code that is none of ours. */
const char *error_name(int code);

#endif
