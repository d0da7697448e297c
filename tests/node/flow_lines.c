/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/worker.h"
#include "flow_log/flow_log.h"
#include "flow_log/flow_sink.h"
#include "graph.h"

static const char *path(void)
{
	static char text[64];

	snprintf(text, sizeof(text), "/tmp/flow-lines-%d.json", (int)getpid());
	return text;
}

const char *flow_log_item(const char *name, const char *subnet, const char *port,
	unsigned int interval_s, unsigned int sample, const char *verdicts)
{
	static char text[512];

	snprintf(text, sizeof(text),
		"[[\"flow_log\", \"%s\", 100, %s, %s, \"file:%s\", \"json\", %u, %u, \"%s\", "
		"false, true, 1]]",
		name, subnet, port, path(), interval_s, sample, verdicts);
	return text;
}

void flow_lines_pass(uint32_t ms)
{
	graph_pass_time(ms);
	flow_log_turn(clock_ms());
}

json_t *flow_lines_end(void)
{
	json_t *lines = json_array();
	char text[4096];
	FILE *f;

	flow_log_turn(clock_ms());
	flow_log_stop();
	while (!flow_sinks_wait())
		;
	f = fopen(path(), "r");
	while (f != NULL && fgets(text, sizeof(text), f) != NULL) {
		json_t *line = json_loads(text, 0, NULL);

		assert_non_null(line);
		json_array_append_new(lines, line);
	}
	if (f != NULL)
		fclose(f);
	unlink(path());
	return lines;
}

static bool is_wanted(json_t *line, const char *key, const char *value)
{
	const char *text = key != NULL ? json_string_value(json_object_get(line, key)) : NULL;

	return key == NULL || (text != NULL && strcmp(text, value) == 0);
}

json_int_t flow_lines_sum(json_t *lines, const char *key, const char *value, const char *number)
{
	json_int_t sum = 0;
	json_t *line;
	size_t i;

	json_array_foreach (lines, i, line)
		if (is_wanted(line, key, value))
			sum += json_integer_value(json_object_get(line, number));
	return sum;
}

size_t flow_lines_count(json_t *lines, const char *key, const char *value)
{
	size_t n = 0, i;
	json_t *line;

	json_array_foreach (lines, i, line)
		n += is_wanted(line, key, value);
	return n;
}

const char *flow_lines_text(json_t *lines, const char *key, const char *value, const char *member)
{
	json_t *line;
	size_t i;

	json_array_foreach (lines, i, line)
		if (is_wanted(line, key, value))
			return json_string_value(json_object_get(line, member));
	return NULL;
}
