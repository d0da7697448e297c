// SPDX-License-Identifier: Apache-2.0
/* Examples of calls, which the descriptions have as JSON, as command lines. */
#include <stdlib.h>
#include <string.h>

#include "cli/help.h"
#include "cli/text.h"

#define PATH_SIZE 128

/* A word of a shell's command line, quoted if it needs to be. */
static void put_word(FILE *out, const char *word)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "-_./:,@%+=";

	if (*word && word[strspn(word, safe)] == '\0') {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	}
	fputc('\'', out);
}

static void put_value(FILE *out, const json_t *value)
{
	char *text = json_dumps(value, JSON_ENCODE_ANY);

	put_word(out, json_is_string(value) ? json_string_value(value) : text);
	free(text);
}

static void put_list(FILE *out, const char *path, const json_t *list)
{
	char *joined = NULL;
	json_t *item;
	size_t size, index;
	FILE *words;

	if (json_is_object(json_array_get(list, 0))) {
		json_array_foreach ((json_t *)list, index, item) {
			fprintf(out, " --%s ", path);
			put_value(out, item);
		}
		return;
	}
	words = must(open_memstream(&joined, &size));
	json_array_foreach ((json_t *)list, index, item) {
		fprintf(words, "%s%s", index ? "," : "", json_string_value(item));
	}
	fclose(words);
	fprintf(out, " --%s ", path);
	put_word(out, joined);
	free(joined);
}

static void put_flags(FILE *out, const char *prefix, const json_t *object, const struct field *args)
{
	char name[PATH_SIZE], *path, *inner;
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)object, key, value) {
		if (!*prefix && field_find(args, key))
			continue;
		path = text_printf("%s%s", prefix, text_dashes(key, name, sizeof(name)));
		if (json_is_array(value)) {
			put_list(out, path, value);
		} else if (json_is_object(value)) {
			inner = text_printf("%s.", path);
			put_flags(out, inner, value, args);
			free(inner);
		} else {
			fprintf(out, " --%s ", path);
			put_value(out, value);
		}
		free(path);
	}
}

static void put_example(FILE *out, const struct command *command, const json_t *params)
{
	const struct field *arg;
	json_t *value, *item;
	char words[PATH_SIZE];
	size_t index;

	fprintf(out, "vpcctl %s", command_words(command, words, sizeof(words)));
	FIELD_FOREACH(arg, command->args)
	{
		value = json_object_get(params, arg->name);
		if (json_is_array(value)) {
			json_array_foreach (value, index, item) {
				fputc(' ', out);
				put_value(out, item);
			}
		} else if (value) {
			fputc(' ', out);
			put_value(out, value);
		}
	}
	put_flags(out, "", params, command->args);
	fputc('\n', out);
}

/* Parameters of a kind's method that has no example of its own. */
static json_t *from_kind(const struct method *method)
{
	json_t *example = json_loads(method->kind->example, 0, NULL), *params = json_object();
	json_t *name = json_object_get(example, "name");

	if (method->verb == METHOD_DELETE)
		json_object_set_new(params, "names", json_pack("[O]", name));
	else if (method->verb != METHOD_LIST)
		json_object_set(params, "name", name);
	if (method->verb == METHOD_UPDATE)
		json_object_set_new(params, "description", json_string("for the shop"));
	json_decref(example);
	return params;
}

char *help_examples(const struct command *command)
{
	const struct method *method = command->method;
	json_t *params = NULL;
	char *text = NULL;
	size_t size;
	FILE *out = must(open_memstream(&text, &size));

	if (method && method->example)
		params = json_loads(method->example, 0, NULL);
	else if (method && method->kind)
		params = from_kind(method);
	if (params)
		put_example(out, command, params);
	for (const char *const *line = command->examples; line && *line; line++)
		fprintf(out, "vpcctl %s\n", *line);
	json_decref(params);
	fclose(out);
	return must(text);
}
