// SPDX-License-Identifier: Apache-2.0
/*
 * Mutual TLS 1.3 (RFC 8446) for RPC between hosts: who we are (certificate and key), whom we trust (CA and CRL), and
 * bufferevents that prove both. Nothing older than TLS 1.3 is spoken, no session is resumed: every connection is
 * verified against the files of that moment. Used from the thread of the event base.
 *
 * A handshake ends with BEV_EVENT_CONNECTED, or with any other event: then tls_why() says what was wrong.
 */
#ifndef LIB_TLS_H
#define LIB_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/resource.h"

struct bufferevent;
struct event_base;
struct tls;

enum tls_side { TLS_SERVER, TLS_CLIENT };

/* Names of PEM files. */
struct tls_files {
	const char *cert; /* our certificate, then those between it and the CA */
	const char *key;  /* its private key, without passphrase, not for others to read */
	const char *ca;   /* the certificates that sign our peers' */
	const char *crl;  /* NULL: none; else one list of each CA in the chain, not expired */
};

/* The same as fields of a configuration file or a resource, and their values (borrowed). */
#define TLS_FIELDS                                                                                 \
	{.name = "cert",                                                                           \
		.type = FIELD_PATH,                                                                \
		.flags = FIELD_REQUIRED,                                                           \
		.help = "file with our certificate (PEM), then those between it and the CA"},      \
		{.name = "key",                                                                    \
			.type = FIELD_PATH,                                                        \
			.flags = FIELD_REQUIRED,                                                   \
			.help = "file with its private key (PEM), unreadable for others"},         \
		{.name = "ca",                                                                     \
			.type = FIELD_PATH,                                                        \
			.flags = FIELD_REQUIRED,                                                   \
			.help = "file with the CA that signs the peer's certificate (PEM)"},       \
	{                                                                                          \
		.name = "crl", .type = FIELD_PATH,                                                 \
		.help = "file with the list of revoked certificates of each CA (PEM)"              \
	}
struct tls_files tls_files_of(const json_t *object);

struct tls_fault {
	const char *field; /* "cert", "key", "ca" or "crl" */
	char reason[256];
};

/* Can the files be used? False with the fault. */
bool tls_check(enum tls_side side, const struct tls_files *files, struct tls_fault *fault);

/* Reads the files; their names are copied. NULL with the fault. */
struct tls *tls_new(enum tls_side side, const struct tls_files *files, struct tls_fault *fault);
/* Connections that were made from it go on. */
void tls_free(struct tls *tls);

/*
 * Reads the files again if they have changed, or in any case with `force` (SIGHUP). When they cannot be used that is
 * logged, once for each change, and what was read before stays in use. New connections do the same by themselves.
 */
void tls_refresh(struct tls *tls, bool force);

/*
 * Starts a handshake on a connected socket; takes fd, also on failure. The peer's certificate must be of our CA, and
 * bear one of `names`: DNS names or addresses, ends with NULL, must stay until the handshake has ended. NULL: any.
 * A client looks for them among the subject alternative names only (RFC 9525); a server takes the common name of a
 * certificate without such names, too. NULL when out of memory.
 */
struct bufferevent *tls_open(
	struct tls *tls, struct event_base *base, int fd, const char *const *names);

/* Why the handshake, or later the connection, failed with these events, as one clause. Returned. */
char *tls_why(struct bufferevent *bev, short events, char *text, size_t size);
/* Whom the peer's certificate names: its common name, else its first DNS name. "" without one. Returned. */
char *tls_peer_name(struct bufferevent *bev, char *text, size_t size);
bool tls_is_used(struct bufferevent *bev);

#endif
