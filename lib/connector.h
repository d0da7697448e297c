// SPDX-License-Identifier: Apache-2.0
/*
 * Connects to a stream socket, over TLS where the address says so, and hands over a bufferevent that is ready to be
 * used. Used from the thread of the event base.
 */
#ifndef LIB_CONNECTOR_H
#define LIB_CONNECTOR_H

struct bufferevent;
struct connector;
struct event_base;
struct tls;

/*
 * How it ended, exactly once and never from inside connector_start(): with `bev`, which the callee takes, or with NULL
 * and the reason. The connector may be freed from here, and has to be some time.
 */
typedef void (*connector_fn)(struct bufferevent *bev, const char *reason, void *arg);

struct connector_options {
	unsigned timeout_s; /* for all of it: name, connection, handshake */
	/* For tls:// addresses. The certificate must bear `name` (may be NULL) or the host of the address. */
	struct tls *tls;
	const char *name;
	connector_fn done;
	void *arg;
};

/*
 * "/path", "unix:/path", "tcp://HOST:PORT" or "tls://HOST:PORT"; HOST is an address (IPv6 in brackets) or, with tls, a
 * name that DNS or /etc/hosts knows. The options are copied. 0 or -EINVAL, -ENAMETOOLONG, -ENOMEM.
 */
int connector_start(struct connector **connector, struct event_base *base, const char *address,
	const struct connector_options *options);
/* Gives up if it has not ended yet; `done` is not called any more. NULL is allowed. */
void connector_free(struct connector *connector);

#endif
