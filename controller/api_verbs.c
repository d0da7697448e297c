/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of single kinds. Each is an update in its own words. */
#include "api.h"
#include "lib/resource_list.h"
#include "mem.h"
#include "rules.h"

#include <stdio.h>
#include <string.h>

/* Updates the object with the changed fields (takes them), with the checks of `update`. */
static void change_fields(struct api_call *call, struct object *object, json_t *changes)
{
	struct txn_error error = {0};
	struct txn txn;
	json_t *new = NULL, *valid = NULL;
	bool ok;

	json_object_set_new(changes, "name", json_string(object->name));
	ok = resource_validate(object->kind, RESOURCE_UPDATE, changes, &valid, &error.base) &&
	     resource_merge(object->kind, object->json, valid, &new, &error.base);

	json_decref(changes);
	json_decref(valid);
	if (!ok) {
		api_fail_error(call, &error);
		return;
	}
	txn_init(&txn, &call->c->model);
	if (resource_equal(object->kind, object->json, new))
		json_decref(new);
	else
		txn_update(&txn, object, new, 0);
	api_commit(call, &txn, object->name);
}

/* Gives the group its new rules (takes them). All are canonical: checking 100,000 again would cost more than
 * the change. */
static void change_rules(struct api_call *call, struct object *group, json_t *rules)
{
	const struct field *field = field_find(group->kind->fields, "rules");
	struct txn_error error = {0};
	struct txn txn;
	json_t *new;

	if (json_array_size(rules) > field->max_items) {
		json_decref(rules);
		resource_fail(&error.base, "/rules", "the group would have more than %u rules",
			field->max_items);
		api_fail_error(call, &error);
		return;
	}
	txn_init(&txn, &call->c->model);
	if (json_array_size(rules) == json_array_size(json_object_get(group->json, "rules"))) {
		json_decref(rules);
	} else {
		new = mem_json(json_copy(group->json));
		json_object_set_new(new, "rules", rules);
		txn_update(&txn, group, new, 0);
	}
	api_commit(call, &txn, group->name);
}

/* Do the references of the call's rules lead somewhere? Asked of these alone: an error's path counts within the call, not
 * within the list that they become part of. */
static bool rules_can_be_linked(
	struct api_call *call, const struct object *group, struct resource_error *error)
{
	json_t *json = mem_json(json_copy(group->json));
	struct object *alone;
	bool ok;

	json_object_set(json, "rules", json_object_get(call->params, "rules"));
	alone = object_new(group->kind, json);
	ok = object_link(&call->c->model, alone, error);
	if (ok)
		object_unlink(alone);
	object_free(alone);
	return ok;
}

void api_add_rules(struct api_call *call)
{
	struct object *group = api_object(call);
	struct txn_error error = {0};

	if (group == NULL)
		return;
	if (!rules_can_be_linked(call, group, &error.base))
		api_fail_error(call, &error);
	else
		change_rules(call, group,
			resource_list_add(json_object_get(group->json, "rules"),
				json_object_get(call->params, "rules")));
}

void api_remove_rules(struct api_call *call)
{
	struct object *group = api_object(call);
	struct txn_error error = {0};
	size_t missing;
	json_t *rules;
	char path[40];

	if (group == NULL)
		return;
	if (resource_list_remove(json_object_get(group->json, "rules"),
		    json_object_get(call->params, "rules"), &rules, &missing)) {
		change_rules(call, group, rules);
		return;
	}
	snprintf(path, sizeof(path), "/rules/%zu", missing);
	resource_fail_code(&error.base, ERROR_NOT_FOUND, path,
		"security_group `%s` has no such rule", group->name);
	api_fail_error(call, &error);
}

void api_attach(struct api_call *call)
{
	struct object *port = api_object(call);

	if (port != NULL)
		change_fields(call, port,
			json_pack("{s:O}", "attachment",
				json_object_get(call->params, "attachment")));
}

void api_detach(struct api_call *call)
{
	struct object *port = api_object(call);

	if (port != NULL)
		change_fields(call, port, json_pack("{s:{s:s}}", "attachment", "type", "none"));
}

void api_bind(struct api_call *call)
{
	struct object *eip = api_object(call);
	struct txn_error error = {0};
	const struct object *now;
	const char *port;

	if (eip == NULL)
		return;
	now = object_target(eip, kind_find("port"));
	port = resource_text(call->params, "port");
	if (now != NULL && strcmp(now->name, port) != 0) {
		rules_in_use(&error.base, "/name", now,
			"EIP `%s` serves port `%s`: unbind it first", eip->name, now->name);
		error.data = rules_in_use_data();
		api_fail_error(call, &error);
		return;
	}
	change_fields(call, eip,
		json_pack("{s:s, s:O?}", "port", port, "private_address",
			json_object_get(call->params, "private_address")));
}

void api_unbind(struct api_call *call)
{
	struct object *eip = api_object(call);

	if (eip != NULL)
		change_fields(call, eip, json_pack("{s:n, s:n}", "port", "private_address"));
}

void api_accept(struct api_call *call)
{
	struct object *peering = api_object(call);
	struct txn txn;
	json_t *new;

	if (peering == NULL)
		return;
	new = mem_json(json_copy(peering->json));
	txn_init(&txn, &call->c->model);
	if (peering_accept(new))
		txn_update(&txn, peering, new, 0);
	else
		json_decref(new);
	api_commit(call, &txn, peering->name);
}
