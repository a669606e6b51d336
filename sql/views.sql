-- views.sql - what the shop and its people may read. Names and columns are stable: new columns come at the end.
--
-- Idempotent; run after functions.sql by every `chwsyncd schema install|upgrade`, as the owner of schema chwsync.

CREATE OR REPLACE VIEW chwsync.order_status AS
    SELECT o.order_ref, chwsync.contract_status(o.state, o.in_progress) AS status, o.provider_order_id, o.charge,
           o.currency, o.start_count, o.remains, o.error, o.seq, o.provider, o.display_ref, o.state,
           q.next_at AS next_attempt_at, o.updated_at
      FROM chwsync.orders o LEFT JOIN chwsync.queue q ON q.order_id = o.id;
COMMENT ON VIEW chwsync.order_status IS 'Where every order line stands now; one row an order_ref.';
COMMENT ON COLUMN chwsync.order_status.order_ref IS 'The key of the order line, as the shop''s view shows it.';
COMMENT ON COLUMN chwsync.order_status.status IS 'The word the write-back function gets: queued, submitting, pending, in_progress, completed, partial, canceled, refunded, failed, rejected, uncertain, abandoned; and withdrawn.';
COMMENT ON COLUMN chwsync.order_status.provider_order_id IS 'The order''s id at the provider, once it was accepted.';
COMMENT ON COLUMN chwsync.order_status.charge IS 'What the provider charged, exactly as it said, in currency; NULL until it was reported.';
COMMENT ON COLUMN chwsync.order_status.currency IS 'The currency the provider named.';
COMMENT ON COLUMN chwsync.order_status.start_count IS 'The count at the start of delivery, as the provider says.';
COMMENT ON COLUMN chwsync.order_status.remains IS 'What is left to deliver; negative when over-delivered; never a sign of completion.';
COMMENT ON COLUMN chwsync.order_status.error IS 'Why it is where it is, when something is in the way.';
COMMENT ON COLUMN chwsync.order_status.seq IS 'Grows with every change of this order.';
COMMENT ON COLUMN chwsync.order_status.provider IS 'The configured provider.';
COMMENT ON COLUMN chwsync.order_status.display_ref IS 'The order number a person knows.';
COMMENT ON COLUMN chwsync.order_status.state IS 'The ledger''s own word: pending and in_progress are both active.';
COMMENT ON COLUMN chwsync.order_status.next_attempt_at IS 'When a queued order is tried next.';
COMMENT ON COLUMN chwsync.order_status.updated_at IS 'The last change.';

CREATE OR REPLACE VIEW chwsync.order_history AS
    SELECT o.order_ref, o.created_at AS at, 'taken' AS event, 'taken from the shop''s view' AS detail,
           NULL::int AS attempt, NULL::text AS provider_order_id
      FROM chwsync.orders o
    UNION ALL
    SELECT o.order_ref, a.claimed_at, 'submitting',
           concat_ws(', ', 'service ' || a.service, 'quantity ' || a.quantity), a.number, NULL
      FROM chwsync.attempts a JOIN chwsync.orders o ON o.id = a.order_id
    UNION ALL
    SELECT o.order_ref, a.ended_at, a.outcome, a.answer, a.number, a.provider_order_id
      FROM chwsync.attempts a JOIN chwsync.orders o ON o.id = a.order_id
     WHERE a.ended_at IS NOT NULL
    UNION ALL
    SELECT o.order_ref, h.at, h.event, h.detail, NULL, NULL
      FROM chwsync.history h JOIN chwsync.orders o ON o.id = h.order_id;
COMMENT ON VIEW chwsync.order_history IS 'What happened to every order line, and when; many rows an order_ref.';
COMMENT ON COLUMN chwsync.order_history.order_ref IS 'The key of the order line.';
COMMENT ON COLUMN chwsync.order_history.at IS 'When it happened, by the database''s clock.';
COMMENT ON COLUMN chwsync.order_history.event IS 'taken, submitting, an attempt''s outcome, or a change of status.';
COMMENT ON COLUMN chwsync.order_history.detail IS 'The provider''s words, or ours.';
COMMENT ON COLUMN chwsync.order_history.attempt IS 'Number of the attempt, from 1.';
COMMENT ON COLUMN chwsync.order_history.provider_order_id IS 'The id this attempt got.';

CREATE OR REPLACE VIEW chwsync.provider_status AS
    SELECT a.provider, a.endpoint, a.submits_paused_until, a.all_paused_until, a.pause_reason, a.last_error,
           a.last_error_at, a.last_used_at,
           (SELECT count(*) FROM chwsync.queue q WHERE q.provider = a.provider) AS queued,
           (SELECT count(*) FROM chwsync.attempts t WHERE t.account_id = a.id AND t.open AND t.outcome IS NULL) AS submitting,
           (SELECT count(*) FROM chwsync.polls p WHERE p.account_id = a.id) AS following,
           (SELECT count(*) FROM chwsync.attempts t WHERE t.account_id = a.id AND t.open AND t.outcome IS NOT NULL) AS uncertain,
           coalesce((SELECT ceil(sum((m.adds + m.polls + m.reads) * CASE WHEN m.minute < date_trunc('minute', now())
                                     THEN 1 - extract(second FROM now()) / 60 ELSE 1 END))
                       FROM chwsync.budget_minutes m
                      WHERE m.account_id = a.id AND m.minute >= date_trunc('minute', now()) - interval '1 minute'),
                    0)::bigint AS requests_last_minute,
           u.requests_last_day,
           b.per_minute AS limit_minute, b.per_day AS limit_day, b.configured_minute, b.configured_day,
           CASE WHEN b.per_day > 0 THEN greatest(b.per_day - u.requests_last_day, 0) END AS requests_left_day,
           b.day_ends_at, round(b.pace::numeric, 1) AS pace_per_minute, round(b.poll_rate::numeric * 60, 2) AS polls_per_minute,
           round(b.reserve::numeric)::bigint AS reserve,
           CASE WHEN EXISTS (SELECT FROM chwsync.queue q WHERE q.provider = a.provider) THEN b.queue_ends_at END AS queue_ends_at,
           b.refusals AS rate_refusals, b.refused_at AS rate_refused_at, b.probing, round(b.planned_delay_s::numeric, 1) AS planned_delay_s, round(b.measured_delay_s::numeric, 1) AS measured_delay_s,
           b.burst, b.configured_burst, nullif(b.told_minute, 0) AS told_minute, nullif(b.told_day, 0) AS told_day,
           k.balance, k.currency, k.asked_at AS balance_at, coalesce(k.balance < k.low_mark, false) AS balance_is_low, k.available,
           a.out_of_funds_since,
           (SELECT count(*) FROM chwsync.queue q WHERE q.provider = a.provider AND q.held = 'funds') AS held_for_funds
      FROM chwsync.accounts a
      LEFT JOIN chwsync.budgets b ON b.account_id = a.id
      LEFT JOIN chwsync.balances k ON k.account_id = a.id
     CROSS JOIN LATERAL (
           SELECT coalesce(sum(m.adds + m.polls + m.reads), 0)::bigint AS requests_last_day FROM chwsync.budget_minutes m
            WHERE m.account_id = a.id
              AND m.minute > greatest(now() - interval '1 day', CASE WHEN b.day_ends_at > now() THEN b.day_ends_at - interval '1 day'
                                                                 ELSE b.day_ends_at END - interval '1 minute')) AS u;
COMMENT ON VIEW chwsync.provider_status IS 'One row for every account that was ever used: pauses, work under way, requests, and what the limits allow.';
COMMENT ON COLUMN chwsync.provider_status.provider IS 'The name it is configured under.';
COMMENT ON COLUMN chwsync.provider_status.endpoint IS 'The provider''s URL. A provider whose key or URL was changed has a row for each; last_used_at tells which is in use.';
COMMENT ON COLUMN chwsync.provider_status.submits_paused_until IS 'No order is sent before then; infinity: until somebody does something.';
COMMENT ON COLUMN chwsync.provider_status.all_paused_until IS 'No request at all before then: the provider asked for it.';
COMMENT ON COLUMN chwsync.provider_status.pause_reason IS 'Why it is paused.';
COMMENT ON COLUMN chwsync.provider_status.last_error IS 'The last thing that went wrong with it, in the provider''s words or ours.';
COMMENT ON COLUMN chwsync.provider_status.last_error_at IS 'When that was.';
COMMENT ON COLUMN chwsync.provider_status.last_used_at IS 'When the daemon last began to work with it.';
COMMENT ON COLUMN chwsync.provider_status.queued IS 'Order lines waiting to be sent.';
COMMENT ON COLUMN chwsync.provider_status.submitting IS 'Order lines whose intent is committed and whose answer is not in.';
COMMENT ON COLUMN chwsync.provider_status.following IS 'Bought orders that have not ended.';
COMMENT ON COLUMN chwsync.provider_status.uncertain IS 'Sent, and the answer was lost: look at them.';
COMMENT ON COLUMN chwsync.provider_status.requests_last_minute IS 'Requests of the last minute, about: they are counted by calendar minutes.';
COMMENT ON COLUMN chwsync.provider_status.requests_last_day IS 'Requests of the last 24 hours, or of the calendar day when its end is known.';
COMMENT ON COLUMN chwsync.provider_status.limit_minute IS 'Requests a minute in force: configured, or less as the provider taught; 0: none.';
COMMENT ON COLUMN chwsync.provider_status.limit_day IS 'Requests a day in force, likewise.';
COMMENT ON COLUMN chwsync.provider_status.configured_minute IS 'Requests a minute as configured.';
COMMENT ON COLUMN chwsync.provider_status.configured_day IS 'Requests a day as configured.';
COMMENT ON COLUMN chwsync.provider_status.requests_left_day IS 'What is left of the day.';
COMMENT ON COLUMN chwsync.provider_status.day_ends_at IS 'When the provider''s day ends; NULL: any 24 hours count.';
COMMENT ON COLUMN chwsync.provider_status.pace_per_minute IS 'Requests leave evenly, at that pace at most.';
COMMENT ON COLUMN chwsync.provider_status.polls_per_minute IS 'Questions a minute that the day affords, each about 100 orders.';
COMMENT ON COLUMN chwsync.provider_status.reserve IS 'Requests of the day that are kept for a burst of orders.';
COMMENT ON COLUMN chwsync.provider_status.queue_ends_at IS 'When the last order line that is due is expected to be sent, as the pace, pauses and the day allow.';
COMMENT ON COLUMN chwsync.provider_status.burst IS 'Requests that may leave at once, in force: configured, or less as refusals taught.';
COMMENT ON COLUMN chwsync.provider_status.configured_burst IS 'Requests that may leave at once, as configured.';
COMMENT ON COLUMN chwsync.provider_status.told_minute IS 'The limit that the provider itself named, for a minute (or an hour, by the minute); NULL: none of late.';
COMMENT ON COLUMN chwsync.provider_status.told_day IS 'Likewise for a day.';
COMMENT ON COLUMN chwsync.provider_status.rate_refusals IS 'Requests that the provider ever refused for rate: it should be 0.';
COMMENT ON COLUMN chwsync.provider_status.rate_refused_at IS 'When it last did.';
COMMENT ON COLUMN chwsync.provider_status.probing IS 'After such a refusal: one request goes alone to see whether it is over.';
COMMENT ON COLUMN chwsync.provider_status.planned_delay_s IS 'Seconds from an order''s end to our knowing it, as planned, mean of late.';
COMMENT ON COLUMN chwsync.provider_status.measured_delay_s IS 'The same as it was: half the time between the last two questions.';

CREATE OR REPLACE VIEW chwsync.services AS
    SELECT a.provider, k.service, k.product_id, k.name, k.type, k.category, k.rate, k.min, k.max, k.refill,
           k.listed AND k.refused_at IS NULL AS available, k.ordered_name, k.ordered_type, k.first_seen_at, k.changed_at, k.charged_by
      FROM (SELECT DISTINCT ON (b.provider) b.id, b.provider FROM chwsync.accounts b
             ORDER BY b.provider, b.last_used_at DESC, b.id DESC) AS a
      JOIN chwsync.catalogue_services k ON k.account_id = a.id;
COMMENT ON VIEW chwsync.services IS 'What each provider sells, or once sold, as it last said; one row a provider and service. Read hourly.';
COMMENT ON COLUMN chwsync.services.provider IS 'The configured provider.';
COMMENT ON COLUMN chwsync.services.service IS 'The provider''s id for it. It may be given to another service one day.';
COMMENT ON COLUMN chwsync.services.product_id IS 'Its stable name, which is better to order by; NULL: the provider gives it none.';
COMMENT ON COLUMN chwsync.services.name IS 'What the provider calls it.';
COMMENT ON COLUMN chwsync.services.type IS 'Decides which parameters an order needs: Default, Package, Custom Comments, ...';
COMMENT ON COLUMN chwsync.services.category IS 'The provider''s heading for it.';
COMMENT ON COLUMN chwsync.services.rate IS 'The price of 1000, or of the whole where charged_by is fixed, in the currency of the account; NULL: the provider told none.';
COMMENT ON COLUMN chwsync.services.min IS 'The smallest quantity of one order; NULL: not told.';
COMMENT ON COLUMN chwsync.services.max IS 'The largest quantity of one order; NULL: not told.';
COMMENT ON COLUMN chwsync.services.refill IS 'Whether the provider offers refills of it.';
COMMENT ON COLUMN chwsync.services.available IS 'Whether it can be bought now: listed, and no order for it was refused since. Orders for others wait.';
COMMENT ON COLUMN chwsync.services.ordered_name IS 'What it was called when it was last ordered by its id; another name now holds such orders.';
COMMENT ON COLUMN chwsync.services.ordered_type IS 'Its type at that order, likewise.';
COMMENT ON COLUMN chwsync.services.first_seen_at IS 'When it was first listed.';
COMMENT ON COLUMN chwsync.services.changed_at IS 'When something about it last changed.';
COMMENT ON COLUMN chwsync.services.charged_by IS 'What the price is multiplied with: quantity, runs (quantity times runs), comments or usernames (lines), fixed, posts, unknown.';

CREATE OR REPLACE VIEW chwsync.service_changes AS
    SELECT a.provider, c.service, k.name, c.at, c.change, c.before, c.after
      FROM chwsync.catalogue_changes c
      JOIN chwsync.accounts a ON a.id = c.account_id
      LEFT JOIN chwsync.catalogue_services k ON k.account_id = c.account_id AND k.service = c.service;
COMMENT ON VIEW chwsync.service_changes IS 'What changed in the providers'' catalogues, and when; kept for history_days. The first catalogue of a provider is no change.';
COMMENT ON COLUMN chwsync.service_changes.provider IS 'The configured provider.';
COMMENT ON COLUMN chwsync.service_changes.service IS 'The provider''s id for the service.';
COMMENT ON COLUMN chwsync.service_changes.name IS 'What the provider calls it now.';
COMMENT ON COLUMN chwsync.service_changes.at IS 'When the change was found, by the database''s clock.';
COMMENT ON COLUMN chwsync.service_changes.change IS 'new, gone (no longer listed), back, or what is another: price, min, max, name, type, category, refill, product_id.';
COMMENT ON COLUMN chwsync.service_changes.before IS 'What it was; NULL: nothing was told.';
COMMENT ON COLUMN chwsync.service_changes.after IS 'What it is now; NULL: nothing is told any more.';
COMMENT ON COLUMN chwsync.provider_status.balance IS 'What the provider told last; NULL: never.';
COMMENT ON COLUMN chwsync.provider_status.currency IS 'Its currency, as the provider names it.';
COMMENT ON COLUMN chwsync.provider_status.balance_at IS 'When it was asked for that.';
COMMENT ON COLUMN chwsync.provider_status.balance_is_low IS 'It was below low_balance of the configuration.';
COMMENT ON COLUMN chwsync.provider_status.available IS 'What is left of it by our count: less the expected charges of orders that it cannot have included.';
COMMENT ON COLUMN chwsync.provider_status.out_of_funds_since IS 'An order was refused for want of money then, and none was accepted since.';
COMMENT ON COLUMN chwsync.provider_status.held_for_funds IS 'Order lines that wait because what is available does not reach for them.';

CREATE OR REPLACE VIEW chwsync.refill_status AS
    SELECT o.order_ref, o.display_ref, o.provider, o.provider_order_id, r.refill_id,
           CASE WHEN r.state = 'sending' THEN 'requested' ELSE r.state END AS status, r.error, r.requested_at, r.requested_by,
           r.updated_at, r.word AS provider_status, r.sent_at, r.ended_at,
           CASE WHEN r.state IN ('pending', 'in_progress') THEN r.next_at END AS next_look_at
      FROM chwsync.refills r JOIN chwsync.orders o ON o.id = r.order_id;
COMMENT ON VIEW chwsync.refill_status IS 'Every refill that was requested, and where it stands; an order line may have had several, the latest has the latest requested_at.';
COMMENT ON COLUMN chwsync.refill_status.order_ref IS 'The key of the order line, as the shop''s view shows it.';
COMMENT ON COLUMN chwsync.refill_status.display_ref IS 'The order number a person knows.';
COMMENT ON COLUMN chwsync.refill_status.provider IS 'The configured provider.';
COMMENT ON COLUMN chwsync.refill_status.provider_order_id IS 'The order''s id at the provider.';
COMMENT ON COLUMN chwsync.refill_status.refill_id IS 'The refill''s id at the provider, once it was accepted.';
COMMENT ON COLUMN chwsync.refill_status.status IS 'requested (waits to be sent, or is on its way), uncertain (sent, the answer was lost: an operator says what became of it), pending, in_progress, completed, rejected, canceled (the provider''s word), refused (not taken, or not allowed).';
COMMENT ON COLUMN chwsync.refill_status.error IS 'Why it is where it is, when something is in the way, or the words it was refused with.';
COMMENT ON COLUMN chwsync.refill_status.requested_at IS 'When it was asked for.';
COMMENT ON COLUMN chwsync.refill_status.requested_by IS 'Who asked: a database role, or an operator.';
COMMENT ON COLUMN chwsync.refill_status.updated_at IS 'The last change.';
COMMENT ON COLUMN chwsync.refill_status.provider_status IS 'The provider''s own word for where it stands.';
COMMENT ON COLUMN chwsync.refill_status.sent_at IS 'When the provider was last asked for it.';
COMMENT ON COLUMN chwsync.refill_status.ended_at IS 'When it came to an end; NULL: it has not.';
COMMENT ON COLUMN chwsync.refill_status.next_look_at IS 'When the provider is asked how it stands, if its limits allow.';
