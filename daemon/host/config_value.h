/*
 * host/config_value.h - one value of the configuration: checked against its setting, then stored.
 *
 * Both store into `target`, the struct config or struct provider_config that setting->offset counts
 * from. What stood there is freed. 0: stored. 1: *reterr_problem says what is wrong; it shows no
 * text that could be a secret. -ENOMEM.
 */
#pragma once
#include "base/problem.h"
#include "host/config.h"

int config_value_set_text(const struct setting *setting, void *target, const char *value,
                          struct problem *reterr_problem);
/* `literal` as it stands in the file: decimal or 0x, with or without sign and L; ends at the first
 * other byte. */
int config_value_set_integer(const struct setting *setting, void *target, const char *literal,
                             struct problem *reterr_problem);
/* A host as it stands in an address ("[::1]"): this machine, by name or number. */
bool config_value_is_loopback(const char *host);
/* Whether two addresses name the same endpoint, as far as their text tells. */
bool config_value_same_url(const char *a, const char *b);
