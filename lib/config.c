// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config.h"

static const char *config_name(const struct config *config)
{
	if (config->path == NULL)
		return "defaults";
	return strcmp(config->path, "-") == 0 ? "stdin" : config->path;
}

static void say(struct config *config, unsigned line, const char *path, const char *what)
{
	config->errors++;
	fprintf(stderr, "%s:%u: %s%s%s\n", config_name(config), line, path,
		*path != '\0' ? ": " : "", what);
}

int config_error(struct config *config, const char *pointer, const char *format, ...)
{
	char path[256];
	char what[512];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	say(config, config->doc_count > 0 ? yaml_doc_line(&config->docs[0], pointer) : 0,
		yaml_pointer_path(pointer, path, sizeof(path)), what);
	return -EINVAL;
}

static int take_documents(struct config *config)
{
	if (config->doc_count > 1) {
		say(config, config->docs[1].line, "", "one document only");
		return -EINVAL;
	}
	if (config->doc_count == 0) {
		config->root = json_object();
		return config->root != NULL ? 0 : -ENOMEM;
	}
	config->root = json_incref(config->docs[0].root);
	if (!json_is_object(config->root))
		return config_error(config, "", "must be a mapping of keys to values");
	return 0;
}

int config_load(struct config *config, const char *path)
{
	struct yaml_error error = {0};
	char *text = NULL;
	size_t len = 0;
	int status = 0;

	memset(config, 0, sizeof(*config));
	config->path = path;
	if (path != NULL)
		status = yaml_read_file(path, &text, &len);
	if (status < 0) {
		config->errors++;
		fprintf(stderr, "%s: %s\n", config_name(config), strerror(-status));
		return status;
	}
	if (text != NULL)
		status = yaml_docs_parse(text, len, &config->docs, &config->doc_count, &error);
	free(text);
	if (status < 0)
		say(config, error.line, "", error.message);
	else
		status = take_documents(config);
	if (status < 0)
		config_free(config);
	return status;
}

int config_check(struct config *config, const struct field *fields)
{
	struct resource_error error;
	json_t *canonical;

	if (!fields_validate(fields, RESOURCE_CREATE, config->root, &canonical, &error))
		return config_error(config, error.path, "%s", error.reason);
	json_decref(config->root);
	config->root = canonical;
	return 0;
}

void config_free(struct config *config)
{
	json_decref(config->root);
	yaml_docs_free(config->docs, config->doc_count);
	config->root = NULL;
	config->docs = NULL;
	config->doc_count = 0;
}
