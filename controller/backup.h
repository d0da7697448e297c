/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONTROLLER_BACKUP_H
#define CONTROLLER_BACKUP_H
/*
 * Everything the store has, as lines of text: a header, a record each, an end with the number of lines and the
 * SHA-256 of all before it. `backup` takes a snapshot at its first call and hands it out by pages (backup.c);
 * `restore` takes the lines back in as many calls as they need and makes it so in one transaction
 * (restore.c).
 *
 *	{"record": "header", "format": "vpc-backup", "version": 1, "software": …, "time": …, "revision": …}
 *	{"record": "object", "kind": "vpc", "object": {…}}        with its automatic and stored read-only fields
 *	{"record": "usage", "id": …, …}                            usage_backup.c
 *	{"record": "event", "event": {…}}
 *	{"record": "end", "lines": …, "sha256": "…"}
 */
#include <stddef.h>

struct api_call;
struct controller;
struct backups;

#define BACKUP_FORMAT "vpc-backup"
#define BACKUP_VERSION 1

struct backups *backups_new(struct controller *c);
void backups_free(struct backups *backups);

/* SHA-256 of lines, each ended by a newline. */
struct digest;
#define DIGEST_TEXT 65
struct digest *digest_new(void);
void digest_free(struct digest *digest);
void digest_line(struct digest *digest, const char *line);
/* Ends it; writes DIGEST_TEXT bytes. */
void digest_end(struct digest *digest, char *text);

/* restore.c */
struct upload;
void upload_free(struct upload *upload);
struct upload **backups_upload(struct controller *c);

#endif
