// SPDX-License-Identifier: Apache-2.0
#include "cli/files.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/text.h"
#include "lib/yaml_doc.h"

#define POINTER_MAX 512

struct file {
	char *path;
	struct yaml_doc *docs;
	size_t doc_count;
};

/* Where a resource came from. */
struct place {
	size_t file, doc;
	char *pointer; /* into the document */
};

struct files {
	struct file *list;
	size_t count;
	json_t *resources;
	struct place *places; /* of each resource */
};

static bool refuse(
	const struct file *file, const struct yaml_doc *doc, const char *pointer, const char *why)
{
	cli_fail(CLI_USAGE, "%s:%u: %s", file->path, yaml_doc_line(doc, pointer), why);
	return false;
}

static bool take_list(struct files *files, const json_t *list, const char *pointer);

/* A value of the last document. */
static bool take(struct files *files, json_t *value, const char *pointer)
{
	const struct file *file = &files->list[files->count - 1];
	const size_t doc = file->doc_count - 1, count = json_array_size(files->resources);
	const json_t *list = json_object_get(value, "resources");

	if (json_is_array(value))
		return take_list(files, value, pointer);
	if (!*pointer && json_is_array(list) && !json_object_get(value, "kind"))
		return take_list(files, list, "/resources");
	if (!json_is_object(value))
		return refuse(file, &file->docs[doc], pointer, "this is no resource");
	if (!json_is_string(json_object_get(value, "kind")))
		return refuse(file, &file->docs[doc], pointer, "this resource has no kind");
	if (!(count & (count - 1)))
		files->places = must(
			realloc(files->places, (count ? 2 * count : 1) * sizeof(*files->places)));
	files->places[count] = (struct place){files->count - 1, doc, must(strdup(pointer))};
	json_array_append(files->resources, value);
	return true;
}

static bool take_list(struct files *files, const json_t *list, const char *pointer)
{
	bool ok = true;
	json_t *item;
	size_t index;

	json_array_foreach ((json_t *)list, index, item) {
		char *inner = text_printf("%s/%zu", pointer, index);

		ok = take(files, item, inner);
		free(inner);
		if (!ok)
			break;
	}
	return ok;
}

static bool read_file(struct files *files, const char *path)
{
	struct yaml_error error = {0};
	struct file *file;
	char *text;
	size_t length, docs;
	int rc = yaml_read_file(path, &text, &length);

	if (rc < 0) {
		cli_fail(CLI_USAGE, "%s: %s", path, strerrordesc_np(-rc));
		return false;
	}
	files->list = must(realloc(files->list, (files->count + 1) * sizeof(*files->list)));
	file = &files->list[files->count++];
	*file = (struct file){.path = must(strdup(strcmp(path, "-") ? path : "stdin"))};
	rc = yaml_docs_parse(text, length, &file->docs, &docs, &error);
	free(text);
	if (rc < 0) {
		cli_fail(CLI_USAGE, "%s:%u: %s", file->path, error.line, error.message);
		return false;
	}
	for (size_t i = 0; i < docs; i++) {
		file->doc_count = i + 1;
		if (!take(files, file->docs[i].root, "")) {
			file->doc_count = docs;
			return false;
		}
	}
	return true;
}

struct files *files_read(const json_t *paths)
{
	struct files *files = must(calloc(1, sizeof(*files)));
	json_t *path;
	size_t index;

	files->resources = json_array();
	json_array_foreach ((json_t *)paths, index, path) {
		if (!read_file(files, json_string_value(path))) {
			files_free(files);
			return NULL;
		}
	}
	return files;
}

void files_free(struct files *files)
{
	for (size_t i = 0; i < json_array_size(files->resources); i++)
		free(files->places[i].pointer);
	for (size_t i = 0; i < files->count; i++) {
		free(files->list[i].path);
		yaml_docs_free(files->list[i].docs, files->list[i].doc_count);
	}
	json_decref(files->resources);
	free(files->places);
	free(files->list);
	free(files);
}

json_t *files_resources(const struct files *files)
{
	return files->resources;
}

char *files_where(const struct files *files, const char *pointer)
{
	char full[POINTER_MAX], path[POINTER_MAX];
	const struct place *place;
	const struct file *file;
	unsigned line;
	size_t index;
	char *rest;

	if (!pointer || strncmp(pointer, "/resources/", 11))
		return NULL;
	index = strtoul(pointer + 11, &rest, 10);
	if (index >= json_array_size(files->resources))
		return NULL;
	place = &files->places[index];
	file = &files->list[place->file];
	snprintf(full, sizeof(full), "%s%s", place->pointer, rest);
	line = yaml_doc_line(&file->docs[place->doc], full);
	yaml_pointer_path(rest, path, sizeof(path));
	return text_printf("%s:%u%s%s", file->path, line, *path ? ": " : "", path);
}
