/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FLOW_LOG_FLOW_JSON_H
#define FLOW_LOG_FLOW_JSON_H
/* Flow records as JSON objects, a line each. Pure. */
#include <stddef.h>

#include "flow_log/flow_record.h"

#define FLOW_JSON_MAX 2048u

/* Whose line it is; names of objects, which need no escapes. */
struct flow_json {
	const char *log, *node;
	bool biflow;
};

/* The line with its newline, of ipfix_add()'s parts. Its length; `text` has FLOW_JSON_MAX bytes. */
size_t flow_json_line(
	const struct flow_json *j, const struct flow_record *r, unsigned int direction, char *text);

#endif
