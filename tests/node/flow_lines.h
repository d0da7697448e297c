/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_NODE_FLOW_LINES_H
#define TESTS_NODE_FLOW_LINES_H
/* Flow logs in tests of the graph: their items, and what they have told, as JSON lines in a file. */
#include <jansson.h>
#include <stdint.h>

/* A log of VPC prod (100), its subnet or its port (JSON, or "null"), that has the file as its collector. To be given to graph_items().
 * Valid until the next. */
const char *flow_log_item(const char *name, const char *subnet, const char *port,
	unsigned int interval_s, unsigned int sample, const char *verdicts);
#define FLOW_LOG(name) flow_log_item(name, "null", "null", 3600, 1, "all")
#define FLOW_LOG_KEY(name) "[[\"flow_log\", \"" name "\"]]"

/* The control thread's turn, and time goes on for sessions. */
void flow_lines_pass(uint32_t ms);
/* The end of all logs, as a process ends them: what they have told until then, and what they had not told yet. The caller's. */
json_t *flow_lines_end(void);

/* Of lines whose member `key` is `value` (NULL: all): the sum of a number; how many they are; the first one's text. */
json_int_t flow_lines_sum(json_t *lines, const char *key, const char *value, const char *number);
size_t flow_lines_count(json_t *lines, const char *key, const char *value);
const char *flow_lines_text(json_t *lines, const char *key, const char *value, const char *member);

#endif
