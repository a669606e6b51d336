-- The two tables for which adapters/template.sql is written. See README.
CREATE TABLE public.orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number text, status text NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE public.order_lines (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id int NOT NULL REFERENCES public.orders,
    sku text NOT NULL DEFAULT 'IG-LIKES-FAST', link text, quantity int NOT NULL, pack_size int NOT NULL DEFAULT 1000, options jsonb,
    updated_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON public.order_lines (order_id);

CREATE SCHEMA replica;
CREATE FUNCTION replica.place(link text, packs int, word text DEFAULT 'paid', at timestamptz DEFAULT now()) RETURNS text LANGUAGE sql AS $$
    WITH o AS (INSERT INTO public.orders (number, status, placed_at) VALUES ('N', word, at) RETURNING id)
    INSERT INTO public.order_lines (order_id, link, quantity) SELECT o.id, link, packs FROM o RETURNING id::text $$;
CREATE FUNCTION replica.place_unpaid(link text) RETURNS text LANGUAGE sql AS $$ SELECT replica.place(link, 1, 'placed') $$;
CREATE FUNCTION replica.set_status(ref text, word text) RETURNS void LANGUAGE sql AS $$
    UPDATE public.orders SET status = word WHERE id = (SELECT order_id FROM public.order_lines WHERE id = ref::int) $$;
CREATE FUNCTION replica.pay(ref text) RETURNS void LANGUAGE sql AS $$ SELECT replica.set_status(ref, 'paid') $$;
CREATE FUNCTION replica.cancel(ref text) RETURNS void LANGUAGE sql AS $$ SELECT replica.set_status(ref, 'canceled') $$;
CREATE FUNCTION replica.hold(ref text) RETURNS void LANGUAGE sql AS $$
    SELECT FROM public.order_lines l JOIN public.orders o ON o.id = l.order_id WHERE l.id = ref::int FOR UPDATE $$;
CREATE FUNCTION replica.told(ref text) RETURNS bigint LANGUAGE sql AS $$ SELECT NULL::bigint $$;
CREATE FUNCTION replica.old(n int) RETURNS void LANGUAGE sql AS $$
    SELECT replica.place('https://instagram.com/p/old', 1, 'paid', now() - interval '90 days') FROM generate_series(1, n) $$;
