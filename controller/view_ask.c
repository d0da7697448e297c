/* SPDX-License-Identifier: Apache-2.0 */
#include "mem.h"
#include "model.h"
#include "view_how.h"

#include <stdlib.h>

#define TIMEOUT_MS 1000

struct asked {
	struct api_call *call;
	json_t *result;
	const struct view_how *how;
};

json_t *view_shown(json_t *result, size_t i)
{
	json_t *items = json_object_get(result, "items");

	if (items != NULL)
		return json_array_get(items, i);
	return i == 0 ? result : NULL;
}

static void answered(struct fan_out *fan, void *arg)
{
	struct asked *a = arg;
	struct api_call *call = a->call;
	json_t *said = a->how->gather != NULL ? a->how->gather(fan, call) : NULL, *shown;

	for (size_t i = 0; (shown = view_shown(a->result, i)) != NULL; i++) {
		/* It may have gone meanwhile: then it is shown as it was. */
		const struct object *object = model_find(
			&call->c->model, call->method->kind, resource_text(shown, "name"));

		if (object != NULL)
			json_object_set_new(
				shown, "status", a->how->status_asked(call->c, object, fan, said));
	}
	json_decref(said);
	api_reply(call, a->result);
	free(a);
}

void view_ask(struct api_call *call, json_t *result, const struct view_how *how)
{
	struct asked *a = mem_calloc(1, sizeof(*a));
	struct fan_out *fan;

	*a = (struct asked){.call = call, .result = result, .how = how};
	fan = fan_out_new(call->c, TIMEOUT_MS, answered, a);
	if (view_shown(result, 0) != NULL)
		how->ask(fan, call, result);
	fan_out_wait(fan);
}

json_int_t view_add(json_int_t *sum, const json_t *said, const char *member)
{
	json_int_t count = resource_integer(said, member, 0);

	if (count < 0)
		count = 0;
	if (__builtin_add_overflow(*sum, count, sum))
		*sum = INT64_MAX;
	return count;
}
