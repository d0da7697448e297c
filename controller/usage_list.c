/* SPDX-License-Identifier: Apache-2.0 */
/* usage.list */
#include "api.h"
#include "lib/time_text.h"
#include "mem.h"
#include "usage_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *time_json(int64_t ms)
{
	char text[TIME_TEXT];

	return ms == 0 ? json_null() : json_string(time_text_format(ms, text));
}

/* Of a time that has been validated; -1 when there is none. */
static int64_t time_parse(const char *text)
{
	bool finer;
	int64_t ms;

	return text != NULL && time_text_parse(text, &ms, &finer) ? ms : -1;
}

static bool passes(const struct usage_row *row, const char *tenant, int64_t since_ms)
{
	return (tenant == NULL || strcmp(tenant, row->tenant) == 0) &&
	       (since_ms < 0 || row->deleted_ms > since_ms || usage_row_updated_ms(row) > since_ms);
}

static json_t *item_of(const struct usage_row *row)
{
	const struct usage_figures total = usage_row_total(row);
	json_t *item = json_pack("{s:s, s:s, s:s, s:o, s:o}", "tenant", row->tenant, "kind",
		row->kind, "name", row->name, "deleted", time_json(row->deleted_ms), "updated",
		time_json(usage_row_updated_ms(row)));

	for (size_t i = 0; i < USAGE_FIGURES; i++)
		json_object_set_new(
			item, usage_figure_names[i], json_integer((json_int_t)total.v[i]));
	return item;
}

json_t *usage_list(const struct usage *usage, const json_t *params)
{
	const char *tenant = resource_text(params, "tenant");
	const char *cursor = resource_text(params, "cursor");
	int64_t since_ms = time_parse(resource_text(params, "since"));
	int64_t behind = cursor != NULL ? strtoll(cursor, NULL, 10) : -1, last = 0;
	size_t limit = (size_t)resource_integer(params, "limit", 0);
	json_t *items = mem_json(json_array()), *more = NULL;
	const struct usage_row *row;
	char number[24];

	TAILQ_FOREACH (row, &usage->table.rows, link) {
		if (row->id <= behind || !passes(row, tenant, since_ms))
			continue;
		if (limit > 0 && json_array_size(items) == limit) {
			snprintf(number, sizeof(number), "%lld", (long long)last);
			more = json_string(number);
			break;
		}
		json_array_append_new(items, item_of(row));
		last = row->id;
	}
	return json_pack("{s:o, s:o}", "items", items, "cursor", more != NULL ? more : json_null());
}

static void refreshed(void *arg)
{
	struct api_call *call = arg;

	api_reply(call, usage_list(call->c->usage, call->params));
}

void api_usage_list(struct api_call *call)
{
	usage_refresh(call->c->usage, refreshed, call);
}
