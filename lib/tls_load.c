// SPDX-License-Identifier: Apache-2.0
/* The files of a TLS identity, read into a context. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/tls_internal.h"

#define CHAIN_DEPTH 8

__attribute__((format(printf, 3, 4))) static bool fault(
	struct tls_fault *f, const char *field, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->reason, sizeof(f->reason), format, args);
	va_end(args);
	f->field = field;
	ERR_clear_error();
	return false;
}

/* What OpenSSL says about the call that just failed. */
static const char *openssl_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	return reason != NULL ? reason : "it is not in PEM format";
}

/* OpenSSL's own words for a file that is missing are for programmers. */
static bool check_file(const char *field, const char *path, struct tls_fault *f)
{
	struct stat st;

	if (stat(path, &st) < 0 || access(path, R_OK) < 0)
		return fault(f, field, "%s: %s", path, log_strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fault(f, field, "%s is no file", path);
	if (strcmp(field, "key") == 0 && (st.st_mode & S_IRWXO) != 0)
		return fault(f, field,
			"%s: everybody on this host may read or change the key (mode %04o): chmod "
			"o= it",
			path, (unsigned)st.st_mode & 07777);
	return true;
}

static bool check_files(const struct tls_files *files, struct tls_fault *f)
{
	return check_file("cert", files->cert, f) && check_file("key", files->key, f) &&
	       check_file("ca", files->ca, f) &&
	       (files->crl == NULL || check_file("crl", files->crl, f));
}

/* A key with a passphrase: nobody is there to be asked. */
static int no_passphrase(char *buffer, int size, int writing, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static bool load_identity(SSL_CTX *ctx, const struct tls_files *files, struct tls_fault *f)
{
	const X509 *own;

	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(ctx, files->cert) != 1)
		return fault(f, "cert", "%s: no certificate: %s", files->cert, openssl_reason());
	if (SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1)
		return fault(f, "key", "%s: no private key that fits %s: %s", files->key,
			files->cert, openssl_reason());
	if (SSL_CTX_check_private_key(ctx) != 1)
		return fault(f, "key", "%s is not the key of %s", files->key, files->cert);
	own = SSL_CTX_get0_certificate(ctx);
	if (X509_cmp_current_time(X509_get0_notAfter(own)) < 0)
		log_warn("our certificate has expired, peers will refuse it",
			LOG_STR("path", files->cert));
	return true;
}

static bool load_trust(
	SSL_CTX *ctx, enum tls_side side, const struct tls_files *files, struct tls_fault *f)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509_LOOKUP *lookup;

	if (SSL_CTX_load_verify_file(ctx, files->ca) != 1)
		return fault(f, "ca", "%s: no certificate: %s", files->ca, openssl_reason());
	if (side == TLS_SERVER)
		SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(files->ca));
	if (files->crl == NULL)
		return true;
	lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	if (lookup == NULL || X509_load_crl_file(lookup, files->crl, X509_FILETYPE_PEM) < 1)
		return fault(f, "crl", "%s: no revocation list: %s", files->crl, openssl_reason());
	/* Without a list of each CA in the chain, or with one that is out of date, nobody is let in. */
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return true;
}

static void set_protocol(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
	/* A resumed session would be one of a certificate that was good once. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 0);
	/* Messages end by themselves: an end without close_notify cuts none unseen. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify_depth(ctx, CHAIN_DEPTH);
}

SSL_CTX *tls_load(enum tls_side side, const struct tls_files *files, struct tls_fault *f)
{
	SSL_CTX *ctx;

	OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
	if (!check_files(files, f))
		return NULL;
	ctx = SSL_CTX_new(side == TLS_SERVER ? TLS_server_method() : TLS_client_method());
	if (ctx == NULL) {
		fault(f, "cert", "out of memory");
		return NULL;
	}
	set_protocol(ctx);
	if (!load_identity(ctx, files, f) || !load_trust(ctx, side, files, f)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	ERR_clear_error();
	return ctx;
}

bool tls_check(enum tls_side side, const struct tls_files *files, struct tls_fault *f)
{
	SSL_CTX *ctx = tls_load(side, files, f);

	SSL_CTX_free(ctx);
	return ctx != NULL;
}

struct tls_files tls_files_of(const json_t *object)
{
	return (struct tls_files){
		.cert = resource_text(object, "cert"),
		.key = resource_text(object, "key"),
		.ca = resource_text(object, "ca"),
		.crl = resource_text(object, "crl"),
	};
}
