// SPDX-License-Identifier: Apache-2.0
/* What the files of lib/tls share. */
#ifndef LIB_TLS_INTERNAL_H
#define LIB_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "lib/tls.h"

/* tls_load.c: a context with the files' contents, to be freed by SSL_CTX_free(). NULL with the fault. */
SSL_CTX *tls_load(enum tls_side side, const struct tls_files *files, struct tls_fault *fault);

/* tls_verify.c: makes sessions of the context verify their peer (X509 chain, then one of `names`). */
void tls_verify_setup(SSL_CTX *ctx);
/* False when out of memory. */
bool tls_verify_begin(SSL *ssl, const char *const *names);
/* What was wrong with the peer's certificate; NULL: nothing. */
const char *tls_verify_fault(const SSL *ssl);

#endif
