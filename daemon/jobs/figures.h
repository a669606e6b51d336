/*
 * jobs/figures.h - keeps in the ledger, every few seconds, how requests ended and how late the shop
 * was told; `chwsyncd metrics` reads it there.
 *
 * Figures for people: nothing waits for them, and what was counted in the last seconds before an
 * end may be lost. Nothing is written while nothing happens.
 */
#pragma once
#include "jobs/account.h"
#include "rules/figures.h"

/* Of one account. */
struct request_figures {
    const struct account *account; /* borrowed */
    struct request_counts kept, asked;
    bool busy;
    int64_t next_us;
};
void request_figures_init(struct request_figures *figures, const struct account *account);
int64_t request_figures_work(struct request_figures *figures, int64_t now_us);

/* Of the shop. */
struct told_figures {
    struct workshop *workshop;      /* borrowed */
    const struct told_delays *told; /* borrowed from jobs/write_back */
    struct told_delays kept, asked;
    bool busy;
    int64_t next_us;
};
void told_figures_init(struct told_figures *figures, struct workshop *workshop,
                       const struct told_delays *told);
int64_t told_figures_work(struct told_figures *figures, int64_t now_us);
