// SPDX-License-Identifier: Apache-2.0
/* Is the peer's certificate good, and is it the one we expect? */
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/net.h"
#include "lib/tls_internal.h"

#define SUBJECT_TEXT 160

/* Hangs on the SSL object, and goes with it. */
struct verification {
	const char *const *names; /* NULL: any */
	char fault[SUBJECT_TEXT + 192];
};

static int slot = -1; /* of the SSL objects' extra data */

static void free_verification(
	void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	(void)parent;
	(void)data;
	(void)index;
	(void)argl;
	(void)argp;
	free(ptr);
}

/* "CN=host-b,O=Example" */
static void subject_text(X509 *cert, char *text, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int len = 0;

	if (bio != NULL && cert != NULL &&
		X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0)
		len = BIO_read(bio, text, (int)size - 1);
	text[len > 0 ? len : 0] = '\0';
	BIO_free(bio);
}

static bool bears(X509 *cert, const char *name, bool common_name)
{
	unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
	struct net_addr address;

	if (net_addr_parse(name, &address))
		return X509_check_ip_asc(cert, name, 0) == 1;
	if (!common_name)
		flags |= X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
	return X509_check_host(cert, name, 0, flags, NULL) == 1;
}

static bool bears_one(X509 *cert, const char *const *names, bool common_name)
{
	if (names == NULL)
		return true;
	for (; *names != NULL; names++) {
		if (bears(cert, *names, common_name))
			return true;
	}
	return false;
}

static void say_names(struct verification *v, const char *subject)
{
	size_t len = (size_t)snprintf(
		v->fault, sizeof(v->fault), "its certificate (%s) is not that of", subject);

	for (size_t i = 0; v->names[i] != NULL && len < sizeof(v->fault); i++)
		len += (size_t)snprintf(v->fault + len, sizeof(v->fault) - len, "%s %s",
			i == 0 ? "" : " or", v->names[i]);
}

/* For each certificate of the chain, from the CA to the peer's own (depth 0), and for each fault. */
static int on_certificate(int good, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct verification *v = SSL_get_ex_data(ssl, slot);
	X509 *cert = X509_STORE_CTX_get_current_cert(store);
	char subject[SUBJECT_TEXT];

	if (v == NULL)
		return 0;
	if (good && (X509_STORE_CTX_get_error_depth(store) != 0 ||
			    bears_one(cert, v->names, SSL_is_server(ssl))))
		return 1;
	subject_text(cert, subject, sizeof(subject));
	if (good) {
		X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
		say_names(v, subject);
	} else {
		snprintf(v->fault, sizeof(v->fault), "its certificate (%s): %s", subject,
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
	}
	return 0;
}

void tls_verify_setup(SSL_CTX *ctx)
{
	if (slot < 0)
		slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_verification);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_certificate);
}

bool tls_verify_begin(SSL *ssl, const char *const *names)
{
	struct verification *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return false;
	v->names = names;
	if (SSL_set_ex_data(ssl, slot, v) == 1)
		return true;
	free(v);
	return false;
}

const char *tls_verify_fault(const SSL *ssl)
{
	const struct verification *v = SSL_get_ex_data(ssl, slot);

	return v != NULL && v->fault[0] != '\0' ? v->fault : NULL;
}
