-- A replica of what adapters/evershop.sql touches, after the schema of EverShop 2. See README.
CREATE TABLE public."order" (
    order_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, uuid uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE, order_number varchar NOT NULL UNIQUE,
    status varchar NOT NULL, shipment_status varchar, payment_status varchar,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE public.order_item (
    order_item_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, uuid uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    order_item_order_id int NOT NULL REFERENCES public."order" ON DELETE CASCADE, product_id int NOT NULL, referer int,
    product_sku varchar NOT NULL, qty int NOT NULL, final_price numeric(12,4) NOT NULL DEFAULT 0, product_custom_options text, requested_data text);
CREATE INDEX ON public.order_item (order_item_order_id);
CREATE TABLE public.order_activity (
    order_activity_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, uuid uuid NOT NULL DEFAULT gen_random_uuid(),
    order_activity_order_id int NOT NULL REFERENCES public."order" ON DELETE CASCADE, comment text NOT NULL,
    customer_notified boolean NOT NULL DEFAULT false, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE public.event (event_id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, uuid uuid NOT NULL DEFAULT gen_random_uuid(),
    name varchar NOT NULL, data json, created_at timestamptz NOT NULL DEFAULT now());
CREATE FUNCTION public.notify_event() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('new_event', NEW.name); RETURN NEW; END $$;
CREATE TRIGGER new_event AFTER INSERT ON public.event FOR EACH ROW EXECUTE FUNCTION public.notify_event();

CREATE SCHEMA replica;
CREATE SEQUENCE replica.numbers;
CREATE FUNCTION replica.place(link text, packs int, payment text DEFAULT 'paid') RETURNS text LANGUAGE sql AS $$
    WITH o AS (INSERT INTO public."order" (order_number, status, shipment_status, payment_status)
               VALUES (10000 + nextval('replica.numbers'), 'completed', 'delivered', payment) RETURNING order_id)
    INSERT INTO public.order_item (order_item_order_id, product_id, product_sku, qty, requested_data)
    SELECT order_id, 1, 'IG-LIKES-FAST', packs, jsonb_build_object('link', link, 'pack_size', '1000')::text FROM o RETURNING order_item_id::text $$;
CREATE FUNCTION replica.place_unpaid(link text) RETURNS text LANGUAGE sql AS $$ SELECT replica.place(link, 1, 'pending') $$;
CREATE FUNCTION replica.set_payment(ref text, word text) RETURNS void LANGUAGE sql AS $$
    UPDATE public."order" SET payment_status = word
     WHERE order_id = (SELECT order_item_order_id FROM public.order_item WHERE order_item_id = ref::int) $$;
CREATE FUNCTION replica.pay(ref text) RETURNS void LANGUAGE sql AS $$ SELECT replica.set_payment(ref, 'paid') $$;
CREATE FUNCTION replica.cancel(ref text) RETURNS void LANGUAGE sql AS $$ SELECT replica.set_payment(ref, 'refunded') $$;
CREATE FUNCTION replica.hold(ref text) RETURNS void LANGUAGE sql AS $$
    SELECT FROM public.order_item l JOIN public."order" o ON o.order_id = l.order_item_order_id WHERE l.order_item_id = ref::int FOR UPDATE $$;
CREATE FUNCTION replica.told(ref text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM public.event WHERE (data ->> 'orderItemId') = ref $$;
CREATE FUNCTION replica.old(n int) RETURNS void LANGUAGE sql AS $$
    WITH o AS (INSERT INTO public."order" (order_number, status, payment_status, created_at)
               SELECT 'old' || nextval('replica.numbers'), 'completed', 'paid', now() - interval '90 days' FROM generate_series(1, n) RETURNING order_id)
    INSERT INTO public.order_item (order_item_order_id, product_id, product_sku, qty, requested_data)
    SELECT order_id, 1, 'IG-LIKES-FAST', 1, '{"link": "https://instagram.com/p/old"}' FROM o $$;
