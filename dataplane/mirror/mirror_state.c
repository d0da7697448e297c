/* SPDX-License-Identifier: Apache-2.0 */
/* Southbound items `mirror`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/mirror.h"
#include "vpc/item.h"

enum column { NAME = 1, SOURCES, DIRECTION, FILTER, SAMPLE, SNAPLEN, TARGET, VTEP, REVISION };

struct change {
	struct mirror *mirror; /* NULL: deletion */
	char name[PORT_NAME_MAX];
};

static uint32_t number(const json_t *object, const char *member)
{
	return (uint32_t)json_integer_value(json_object_get(object, member));
}

static const char *text(const json_t *object, const char *member)
{
	const char *s = json_string_value(json_object_get(object, member));

	return s != NULL ? s : "";
}

static int parse_file(
	struct mirror *m, const json_t *item, const json_t *target, struct state_error *err)
{
	const char *path = text(target, "path");
	int rc = mirror_file_check(path, err);

	if (rc != 0)
		return rc;
	m->file = mirror_file_new(m->name, path, number(target, "rotate_mb"),
		number(target, "keep"), item_text(item, FILTER));
	return m->file != NULL ? 0 : item_no_memory(err);
}

static int parse_target(struct mirror *m, const json_t *item, struct state_error *err)
{
	static const char *const types[] = {[MIRROR_PORT] = "port",
		[MIRROR_VXLAN] = "vxlan",
		[MIRROR_ERSPAN] = "erspan",
		[MIRROR_FILE] = "file"};
	const json_t *target = json_array_get(item, TARGET);
	const char *type = text(target, "type");
	const char *where = item_text(item, VTEP);
	unsigned int t = 0;

	while (t < RTE_DIM(types) && strcmp(type, types[t]) != 0)
		t++;
	if (t == RTE_DIM(types))
		return state_fail(err, -EINVAL, "unknown target `%s`", type);
	m->target = (enum mirror_target)t;
	m->vni = number(target, "vni");
	m->session_id = (uint16_t)number(target, "session_id");
	m->version = (uint8_t)number(target, "version");
	if (m->target == MIRROR_FILE)
		return parse_file(m, item, target, err);
	if (m->target == MIRROR_PORT)
		where = text(target, "port");
	else if (m->target == MIRROR_ERSPAN &&
		 (m->session_id > ERSPAN_SESSION_MAX || (m->version != 2 && m->version != 3)))
		return state_fail(err, -EINVAL, "no such version or session of ERSPAN");
	if (where[0] == '\0' || strlen(where) >= sizeof(m->where))
		return state_fail(err, -EINVAL, "a target of type %s needs to be named", type);
	strcpy(m->where, where);
	return 0;
}

static int parse_scope(struct observe_scope *scope, const char *source, struct state_error *err)
{
	return observe_scope_parse(scope, source)
		       ? 0
		       : state_fail(err, -EINVAL, "`%s` is no source", source);
}

static int make_observer(
	struct mirror *m, const json_t *item, struct observer_spec *spec, struct state_error *err)
{
	static const struct observe_sink *const sinks[] = {[MIRROR_PORT] = &mirror_port_sink,
		[MIRROR_VXLAN] = &mirror_tunnel_sink,
		[MIRROR_ERSPAN] = &mirror_tunnel_sink,
		[MIRROR_FILE] = &mirror_file_sink};
	char reason[160];

	if (packet_filter_new(item_text(item, FILTER), &spec->filter, reason, sizeof(reason)) != 0)
		return state_fail(err, -EINVAL, "filter: %s", reason);
	spec->directions = observe_directions(item_text(item, DIRECTION));
	spec->sample = (uint32_t)item_uint(item, SAMPLE);
	spec->snaplen = (uint32_t)item_uint(item, SNAPLEN);
	spec->sink = sinks[m->target];
	spec->context = m;
	spec->except = m->target == MIRROR_PORT ? m->where : NULL;
	m->observer = observer_prepare(spec);
	if (m->observer != NULL)
		return 0;
	err->exhausted = errno == ENOSPC;
	return errno == ENOSPC ? state_fail(err, -ENOSPC,
					 "no more than %u mirrors and captures on a node at a time",
					 OBSERVERS_MAX)
			       : item_no_memory(err);
}

static int parse(struct mirror *m, const json_t *item, struct state_error *err)
{
	const json_t *sources = json_array_get(item, SOURCES), *source;
	struct observe_scope *scopes = calloc(json_array_size(sources) + 1, sizeof(*scopes));
	struct observer_spec spec = {
		.scopes = scopes, .n_scopes = (unsigned int)json_array_size(sources)};
	int rc = scopes != NULL ? item_name(item, NAME, m->name, err) : item_no_memory(err);
	size_t i;

	json_array_foreach (sources, i, source)
		if (rc == 0)
			rc = parse_scope(&scopes[i], json_string_value(source), err);
	if (rc == 0)
		rc = parse_target(m, item, err);
	if (rc == 0)
		rc = make_observer(m, item, &spec, err);
	free(scopes);
	return rc;
}

static void undo(void *staged)
{
	struct change *c = staged;

	if (c->mirror != NULL)
		mirror_free(c->mirror);
	free(c);
}

static int prepare(const json_t *item, const json_t *old, void **staged, struct state_error *err)
{
	struct change *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return item_no_memory(err);
	rc = item_name(item != NULL ? item : old, NAME, c->name, err);
	if (rc == 0 && item != NULL) {
		c->mirror = mirror_new();
		rc = c->mirror != NULL ? parse(c->mirror, item, err) : item_no_memory(err);
	}
	if (rc != 0)
		undo(c);
	else
		*staged = c;
	return rc;
}

static void commit(void *staged)
{
	struct change *c = staged;

	if (c->mirror != NULL)
		mirror_put(c->mirror);
	else
		mirror_remove(c->name);
	free(c);
}

/* Behind ports and VTEPs. */
STATE_KIND(mirror_kind, .name = "mirror", .order = 90, .prepare = prepare, .commit = commit,
	.abort = undo)
