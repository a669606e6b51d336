-- A replica of what adapters/vendure.sql touches, after the schema of Vendure 3.6.3. See README.
CREATE TABLE public."order" (
    "createdAt" timestamp NOT NULL DEFAULT now(), "updatedAt" timestamp NOT NULL DEFAULT now(),
    type varchar NOT NULL DEFAULT 'Regular', code varchar NOT NULL UNIQUE, state varchar NOT NULL,
    active boolean NOT NULL DEFAULT true, "orderPlacedAt" timestamp, id serial PRIMARY KEY, "aggregateOrderId" int);
CREATE INDEX ON public."order" ("orderPlacedAt");
CREATE TABLE public.product_variant (id serial PRIMARY KEY, sku varchar NOT NULL, "customFieldsProviderservice" varchar,
    "customFieldsPacksize" int);
CREATE TABLE public.order_line (
    "createdAt" timestamp NOT NULL DEFAULT now(), "updatedAt" timestamp NOT NULL DEFAULT now(), quantity int NOT NULL,
    "orderPlacedQuantity" int NOT NULL DEFAULT 0, id serial PRIMARY KEY, "productVariantId" int NOT NULL REFERENCES public.product_variant,
    "orderId" int REFERENCES public."order" ON DELETE CASCADE, "customFieldsLink" text, "customFieldsComments" text,
    "customFieldsRuns" int, "customFieldsInterval" int);
CREATE INDEX ON public.order_line ("orderId");
CREATE TABLE public.history_entry (
    "createdAt" timestamp NOT NULL DEFAULT now(), "updatedAt" timestamp NOT NULL DEFAULT now(), type varchar NOT NULL,
    "isPublic" boolean NOT NULL, data text NOT NULL, id serial PRIMARY KEY, discriminator varchar NOT NULL, "orderId" int
    REFERENCES public."order" ON DELETE CASCADE);
INSERT INTO public.product_variant (sku, "customFieldsPacksize") VALUES ('IG-LIKES-FAST', 1000);

CREATE SCHEMA replica;
CREATE FUNCTION replica.place(link text, packs int, state text DEFAULT 'PaymentSettled') RETURNS text LANGUAGE sql AS $$
    WITH o AS (INSERT INTO public."order" (code, state, "orderPlacedAt")
               VALUES (substr(md5(random()::text), 1, 16), state, now() AT TIME ZONE 'UTC') RETURNING id)
    INSERT INTO public.order_line (quantity, "orderPlacedQuantity", "productVariantId", "orderId", "customFieldsLink")
    SELECT packs, packs, 1, o.id, link FROM o RETURNING id::text $$;
CREATE FUNCTION replica.place_unpaid(link text) RETURNS text LANGUAGE sql AS $$ SELECT replica.place(link, 1, 'ArrangingPayment') $$;
CREATE FUNCTION replica.pay(ref text) RETURNS void LANGUAGE sql AS $$
    UPDATE public."order" SET state = 'PaymentSettled' WHERE id = (SELECT "orderId" FROM public.order_line WHERE id = ref::int) $$;
CREATE FUNCTION replica.cancel(ref text) RETURNS void LANGUAGE sql AS $$
    UPDATE public.order_line SET quantity = 0 WHERE id = ref::int;
    UPDATE public."order" SET state = 'Cancelled' WHERE id = (SELECT "orderId" FROM public.order_line WHERE id = ref::int) $$;
CREATE FUNCTION replica.hold(ref text) RETURNS void LANGUAGE sql AS $$
    SELECT FROM public.order_line l JOIN public."order" o ON o.id = l."orderId" WHERE l.id = ref::int FOR UPDATE $$;
CREATE FUNCTION replica.told(ref text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM public.history_entry h JOIN public.order_line l USING ("orderId") WHERE l.id = ref::int $$;
CREATE FUNCTION replica.old(n int) RETURNS void LANGUAGE sql AS $$
    WITH o AS (INSERT INTO public."order" (code, state, "orderPlacedAt")
               SELECT 'old' || i, 'PaymentSettled', now() - interval '90 days' FROM generate_series(1, n) i RETURNING id)
    INSERT INTO public.order_line (quantity, "productVariantId", "orderId", "customFieldsLink")
    SELECT 1, 1, o.id, 'https://instagram.com/p/' || o.id FROM o $$;
-- An order of several vendors: its Aggregate must not be sent beside it.
INSERT INTO public."order" (code, state, "orderPlacedAt", type) VALUES ('aggregate', 'PaymentSettled', now(), 'Aggregate');
INSERT INTO public.order_line (quantity, "productVariantId", "orderId") VALUES (1, 1, currval('public.order_id_seq'));
