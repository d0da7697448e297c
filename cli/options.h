// SPDX-License-Identifier: Apache-2.0
/* The options that every command takes. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/resource.h"

#define OPTIONS_SOCKET "/run/vpc/controller.sock"

enum options_format { FORMAT_TABLE, FORMAT_WIDE, FORMAT_JSON, FORMAT_YAML, FORMAT_NAME };

struct options {
	enum options_format format;
	bool format_given;
	const char *socket;     /* where the controller listens, unless `server` is set */
	const char *server;     /* "http://host:port", or NULL */
	const char *token_file; /* or NULL: VPC_TOKEN */
	bool color;             /* of stdout */
	bool help, version;
	bool wait;
	json_int_t wait_timeout_ms; /* 0: the server's default */
};

/* Described like a method's parameters; ends with FIELD_END. */
extern const struct field options_fields[];

/* The long name of a letter ('o': "output"); NULL when there is none. And the other way: 0. */
const char *options_of_letter(char letter);
char options_letter(const char *name);

/*
 * Fills the options from what was given and from the environment. `given` must outlive them. False
 * with the reason in `why`.
 */
bool options_take(struct options *options, const json_t *given, char *why, size_t size);

#endif
