-- A replica of what adapters/medusa.sql touches, after the schema of Medusa 2.15.2. See README.
CREATE TYPE public.order_status_enum AS ENUM ('pending', 'completed', 'draft', 'archived', 'canceled', 'requires_action');
CREATE TABLE public."order" (
    id text PRIMARY KEY, display_id serial, version int NOT NULL DEFAULT 1, status public.order_status_enum NOT NULL DEFAULT 'pending',
    is_draft_order boolean NOT NULL DEFAULT false, currency_code text NOT NULL DEFAULT 'usd', metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz,
    canceled_at timestamptz);
CREATE TABLE public.order_line_item (
    id text PRIMARY KEY, title text NOT NULL DEFAULT 'x', variant_sku text, metadata jsonb,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz);
CREATE TABLE public.order_item (
    id text PRIMARY KEY, order_id text NOT NULL REFERENCES public."order", version int NOT NULL,
    item_id text NOT NULL REFERENCES public.order_line_item, quantity numeric NOT NULL, fulfilled_quantity numeric NOT NULL DEFAULT 0,
    return_received_quantity numeric NOT NULL DEFAULT 0, written_off_quantity numeric NOT NULL DEFAULT 0, deleted_at timestamptz);
CREATE INDEX ON public.order_item (order_id);
CREATE INDEX ON public.order_item (item_id);
CREATE TABLE public.payment_collection (
    id text PRIMARY KEY, amount numeric NOT NULL, captured_amount numeric, refunded_amount numeric, deleted_at timestamptz,
    status text NOT NULL DEFAULT 'not_paid');
CREATE TABLE public.order_payment_collection (
    order_id varchar(255) NOT NULL, payment_collection_id varchar(255) NOT NULL, id varchar(255) NOT NULL, deleted_at timestamptz,
    PRIMARY KEY (order_id, payment_collection_id));

CREATE SCHEMA replica;
CREATE SEQUENCE replica.numbers;
CREATE FUNCTION replica.place(link text, packs int, status text DEFAULT 'completed') RETURNS text LANGUAGE plpgsql AS $$
DECLARE n text := lpad(nextval('replica.numbers')::text, 10, '0');
BEGIN
    INSERT INTO public."order" (id) VALUES ('order_' || n);
    INSERT INTO public.order_line_item (id, variant_sku, metadata)
    VALUES ('ordli_' || n, 'IG-LIKES-FAST', jsonb_build_object('link', link, 'pack_size', 1000));
    INSERT INTO public.order_item (id, order_id, version, item_id, quantity) VALUES ('orditem_' || n, 'order_' || n, 1, 'ordli_' || n, packs);
    INSERT INTO public.payment_collection (id, amount, status) VALUES ('paycol_' || n, 1.29, status);
    INSERT INTO public.order_payment_collection (order_id, payment_collection_id, id) VALUES ('order_' || n, 'paycol_' || n, 'l' || n);
    RETURN 'ordli_' || n;
END $$;
CREATE FUNCTION replica.place_unpaid(link text) RETURNS text LANGUAGE sql AS $$ SELECT replica.place(link, 1, 'authorized') $$;
CREATE FUNCTION replica.pay(ref text) RETURNS void LANGUAGE sql AS $$
    UPDATE public.payment_collection SET status = 'completed' WHERE id = 'paycol_' || substr(ref, 7) $$;
CREATE FUNCTION replica.cancel(ref text) RETURNS void LANGUAGE sql AS $$
    UPDATE public."order" SET status = 'canceled', canceled_at = now() WHERE id = 'order_' || substr(ref, 7) $$;
CREATE FUNCTION replica.hold(ref text) RETURNS void LANGUAGE sql AS $$
    SELECT FROM public.order_line_item l JOIN public."order" o ON o.id = 'order_' || substr(ref, 7) WHERE l.id = ref FOR UPDATE $$;
CREATE FUNCTION replica.told(ref text) RETURNS bigint LANGUAGE sql AS $$ SELECT NULL::bigint $$;
CREATE FUNCTION replica.old(n int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE i int;
BEGIN
    FOR i IN 1 .. n LOOP PERFORM replica.place('https://instagram.com/p/old', 1); END LOOP;
    UPDATE public."order" SET created_at = now() - interval '90 days';
END $$;
-- A fulfilment writes every row anew under the next version.
CREATE FUNCTION replica.new_version(ref text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO public.order_item (id, order_id, version, item_id, quantity, fulfilled_quantity)
    SELECT i.id || 'v' || i.version + 1, i.order_id, i.version + 1, i.item_id, i.quantity, 1 FROM public.order_item i WHERE i.item_id = ref;
    UPDATE public."order" SET version = version + 1 WHERE id = 'order_' || substr(ref, 7) $$;
