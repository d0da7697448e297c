// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/util.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/tls_internal.h"

#define FILES 4

/* What tells one state of a file from the next. */
struct stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec written, changed;
};

struct tls {
	enum tls_side side;
	char *names[FILES]; /* owned; `files` has them by their meaning */
	struct tls_files files;
	struct stamp stamps[FILES]; /* when they were read last, or tried to be */
	SSL_CTX *ctx;
};

static void take_stamps(const struct tls *t, struct stamp stamps[FILES])
{
	memset(stamps, 0, FILES * sizeof(stamps[0]));
	for (size_t i = 0; i < FILES; i++) {
		struct stat st;

		if (t->names[i] != NULL && stat(t->names[i], &st) == 0)
			stamps[i] = (struct stamp){
				st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim};
	}
}

static bool same_stamps(const struct stamp a[FILES], const struct stamp b[FILES])
{
	for (size_t i = 0; i < FILES; i++) {
		if (a[i].dev != b[i].dev || a[i].ino != b[i].ino || a[i].size != b[i].size ||
			a[i].written.tv_sec != b[i].written.tv_sec ||
			a[i].written.tv_nsec != b[i].written.tv_nsec ||
			a[i].changed.tv_sec != b[i].changed.tv_sec ||
			a[i].changed.tv_nsec != b[i].changed.tv_nsec)
			return false;
	}
	return true;
}

/* Stamps first: what is written while we read is seen as a change the next time. */
static bool load(struct tls *t, struct tls_fault *fault)
{
	SSL_CTX *ctx;

	take_stamps(t, t->stamps);
	ctx = tls_load(t->side, &t->files, fault);
	if (ctx == NULL)
		return false;
	tls_verify_setup(ctx);
	SSL_CTX_free(t->ctx); /* its sessions hold it, too */
	t->ctx = ctx;
	return true;
}

static char *copy(const char *text)
{
	return text != NULL ? strdup(text) : NULL;
}

struct tls *tls_new(enum tls_side side, const struct tls_files *files, struct tls_fault *fault)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->side = side;
	t->names[0] = copy(files->cert);
	t->names[1] = copy(files->key);
	t->names[2] = copy(files->ca);
	t->names[3] = copy(files->crl);
	t->files = (struct tls_files){t->names[0], t->names[1], t->names[2], t->names[3]};
	if (load(t, fault))
		return t;
	tls_free(t);
	return NULL;
}

void tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	for (size_t i = 0; i < FILES; i++)
		free(t->names[i]);
	free(t);
}

void tls_refresh(struct tls *t, bool force)
{
	struct stamp now[FILES];
	struct tls_fault fault;

	take_stamps(t, now);
	if (!force && same_stamps(now, t->stamps))
		return;
	if (load(t, &fault))
		log_info("certificates read", LOG_STR("cert", t->files.cert));
	else
		log_error("certificates cannot be used, the former ones stay in use",
			LOG_STR("field", fault.field), LOG_STR("reason", fault.reason));
}

struct bufferevent *tls_open(
	struct tls *t, struct event_base *base, int fd, const char *const *names)
{
	enum bufferevent_ssl_state state =
		t->side == TLS_SERVER ? BUFFEREVENT_SSL_ACCEPTING : BUFFEREVENT_SSL_CONNECTING;
	struct bufferevent *bev;
	SSL *ssl;

	tls_refresh(t, false);
	ERR_clear_error();
	ssl = SSL_new(t->ctx);
	if (ssl == NULL || !tls_verify_begin(ssl, names)) {
		SSL_free(ssl);
		close(fd);
		return NULL;
	}
	bev = bufferevent_openssl_socket_new(base, fd, ssl, state, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) { /* it has freed the session, and not closed the socket */
		close(fd);
		return NULL;
	}
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

/* Without the name of the protocol version that OpenSSL puts before an alert, which is history. */
static const char *alert_text(unsigned long error)
{
	const char *text = ERR_reason_error_string(error);
	const char *alert = text != NULL ? strstr(text, " alert ") : NULL;

	return alert != NULL ? alert + strlen(" alert ") : "unknown alert";
}

static void error_text(unsigned long error, char *text, size_t size)
{
	const char *reason = ERR_reason_error_string(error);

	if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) > SSL_AD_REASON_OFFSET)
		snprintf(text, size, "it refused us: %s", alert_text(error));
	else
		snprintf(text, size, "%s", reason != NULL ? reason : "TLS failed");
}

char *tls_why(struct bufferevent *bev, short events, char *text, size_t size)
{
	int socket_error = EVUTIL_SOCKET_ERROR();
	const SSL *ssl = bufferevent_openssl_get_ssl(bev);
	const char *fault = ssl != NULL ? tls_verify_fault(ssl) : NULL;
	unsigned long error = 0, next;

	/* They come last first; the first says what happened. Among them is what SSL_get_error() said, of no library. */
	while ((next = bufferevent_get_openssl_error(bev)) != 0)
		if (ERR_GET_LIB(next) != 0)
			error = next;
	if (fault != NULL)
		snprintf(text, size, "%s", fault);
	else if (error != 0)
		error_text(error, text, size);
	else if (events & BEV_EVENT_TIMEOUT)
		snprintf(text, size, "%s", log_strerror(ETIMEDOUT));
	else if (events & BEV_EVENT_EOF || socket_error == 0)
		snprintf(text, size, "closed by the peer");
	else
		snprintf(text, size, "%s", log_strerror(socket_error));
	return text;
}

/* The first DNS name of the certificate; false: it has none. */
static bool dns_name(const X509 *cert, char *text, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		found = name->type == GEN_DNS;
		if (found)
			snprintf(text, size, "%.*s", ASN1_STRING_length(name->d.dNSName),
				(const char *)ASN1_STRING_get0_data(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	return found;
}

/* For logs: whatever the certificate's maker wrote, nothing that would break a line. */
static void make_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

char *tls_peer_name(struct bufferevent *bev, char *text, size_t size)
{
	const SSL *ssl = bufferevent_openssl_get_ssl(bev);
	const X509 *cert = ssl != NULL ? SSL_get0_peer_certificate(ssl) : NULL;

	text[0] = '\0';
	if (cert != NULL && X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName,
				    text, (int)size) <= 0)
		dns_name(cert, text, size);
	make_printable(text);
	return text;
}

bool tls_is_used(struct bufferevent *bev)
{
	return bufferevent_openssl_get_ssl(bev) != NULL;
}
