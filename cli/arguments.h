// SPDX-License-Identifier: Apache-2.0
/*
 * The command line, taken in word by word: what has been said so far, and what the next word may be.
 * The same for carrying out (main.c) and for completing (complete.c).
 */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include "cli/command.h"

#define ARGUMENTS_WORD_MAX 128

struct arguments {
	char noun[ARGUMENTS_WORD_MAX]; /* the first word, "" before it */
	const struct command *command; /* NULL: not known yet */
	json_t *params;                /* by the command's arguments and flags */
	json_t *options;               /* by options_fields */
	size_t position;               /* how many arguments there were */
	bool only_words;               /* after "--" */
	const struct field *pending;   /* a flag whose value comes next */
	bool pending_optional;         /* which is a boolean, and may do without */
	bool pending_is_option;        /* of options_fields, not the command's */
	char pending_path[ARGUMENTS_WORD_MAX];
	char error[512]; /* why a word could not be taken */
};

void arguments_init(struct arguments *a);
/* Takes a word; false with a->error when it makes no sense. */
bool arguments_word(struct arguments *a, const char *word);
/* Is all there that the command needs? False with a->error. */
bool arguments_end(struct arguments *a);

/* The argument that the next word would be; NULL when no more are taken. */
const struct field *arguments_next(const struct arguments *a);

/* The flag or option of that name ("attachment.type"); NULL when there is none. */
const struct field *arguments_flag(const struct arguments *a, const char *path, bool *is_option);

#endif
