"""SQL of migration 0002: how tables come to write their changes into the ledger, and what they refuse from then on.

Later migrations call `ledger_cover`, too, for tables of theirs; the words here stay as they are.

`ledger_cover(table, key columns, columns, changing, hides_key, mode)` covers a table, or covers it anew when its
columns have changed: then every row that stands gets an entry with the new ones. `changing` are the columns whose
values may ever change; with none the table is only appended to. Mode `ranges` makes no entries: the sealer does.
"""

WRITING = r"""
ALTER TABLE ledger_entries
  ALTER keys SET STORAGE EXTERNAL, ALTER digests SET STORAGE EXTERNAL, ALTER salts SET STORAGE EXTERNAL;

-- The product's clock: a demo runs on one of its own.
CREATE FUNCTION ledger_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT clock_timestamp() + interval '1 millisecond'
       * coalesce(nullif(current_setting('telesales.clock_offset_ms', true), ''), '0')::bigint
$$;

CREATE FUNCTION only_some_columns_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are evidence: what was written stays, and only % may change', TG_TABLE_NAME, TG_ARGV[0]
    USING ERRCODE = 'check_violation';
END $$;

-- The expression for the key of row `t`; hidden under the ledger's secret where it is a telephone number.
CREATE FUNCTION ledger_key_sql(key_columns text[], hides_key boolean) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE joined text;
BEGIN
  IF cardinality(key_columns) = 1 THEN
    joined := format('t.%I::text', key_columns[1]);
  ELSE
    SELECT string_agg(format('replace(replace(t.%I::text, ''%%'', ''%%25''), ''/'', ''%%2F'')', name),
                      ' || ''/'' || ' ORDER BY place)
      INTO joined FROM unnest(key_columns) WITH ORDINALITY AS k (name, place);
  END IF;
  IF hides_key THEN
    RETURN format($sql$'~' || encode(substr(sha256('\x74656c6573616c65732d6c65646765722d6b65792d3100'::bytea
                   || (SELECT key_secret FROM ledger_identity) || convert_to(%s, 'UTF8')), 1, 16), 'hex')$sql$, joined);
  END IF;
  RETURN joined;
END $$;

-- The INSERT of entries, at most 1000 rows each, of `rows`: a FROM clause that gives `key` and `body`. The salts of a
-- statement are hashes under one random seed that nobody keeps: to draw each of them costs as much as all the rest.
CREATE FUNCTION ledger_insert_sql(kind text, rows text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT format($sql$
    INSERT INTO ledger_entries (recorded_at, kind, keys, digests, salts)
    SELECT ledger_now(), %L, array_agg(key),
           string_agg(sha256('\x74656c6573616c65732d6c65646765722d726f772d3100'::bytea || salt || body), ''::bytea),
           string_agg(salt, ''::bytea)
      FROM (SELECT (place - 1) / 1000 AS nth, key, convert_to(body, 'UTF8') AS body,
                   substr(sha256((SELECT uuid_send(gen_random_uuid())) || int8send(place)), 1, 16) AS salt
              FROM (SELECT row_number() OVER () AS place, key, body FROM %s) numbered OFFSET 0) salted
     GROUP BY nth ORDER BY nth;$sql$, kind, rows)
$$;

-- The same of one row or none: most statements change one row, and what sorts and groups takes longer to set up than
-- one row to write.
CREATE FUNCTION ledger_insert_one_sql(kind text, rows text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT format($sql$
    INSERT INTO ledger_entries (recorded_at, kind, keys, digests, salts)
    SELECT ledger_now(), %L, ARRAY[key],
           sha256('\x74656c6573616c65732d6c65646765722d726f772d3100'::bytea || salt || convert_to(body, 'UTF8')), salt
      FROM (SELECT key, body, substr(sha256(uuid_send(gen_random_uuid())), 1, 16) AS salt
              FROM %s OFFSET 0) salted;$sql$, kind, rows)
$$;

-- `rows` is the FROM clause of what is to be written after `event`.
CREATE FUNCTION ledger_trigger(table_name text, event text, rows text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  kind text := table_name || '.' || event;
  seen text := CASE event WHEN 'insert' THEN 'NEW TABLE AS new_rows' WHEN 'delete' THEN 'OLD TABLE AS old_rows'
            ELSE 'OLD TABLE AS old_rows NEW TABLE AS new_rows' END;
BEGIN
  -- Rows are written out in UTC whoever asks. A nested loop is never right: the server plans without knowing how many
  -- rows a statement will have changed.
  EXECUTE format($sql$
    CREATE OR REPLACE FUNCTION %1$I() RETURNS trigger LANGUAGE plpgsql
      SET TimeZone = 'UTC' SET bytea_output = 'hex' %2$s AS $body$
    BEGIN
      IF current_setting('telesales.writer', true) = 'application' THEN
        IF EXISTS (SELECT FROM %8$s OFFSET 1) THEN %3$s
        ELSE %9$s
        END IF;
      END IF;
      RETURN NULL;
    END $body$;
    CREATE OR REPLACE TRIGGER %4$I AFTER %5$s ON %6$I REFERENCING %7$s
      FOR EACH STATEMENT EXECUTE FUNCTION %1$I();$sql$,
    'ledger_' || table_name || '_' || event, CASE event WHEN 'update' THEN 'SET enable_nestloop = off' ELSE '' END,
    ledger_insert_sql(kind, rows), 'ledger_' || event, upper(event), table_name, seen,
    CASE event WHEN 'delete' THEN 'old_rows' ELSE 'new_rows' END, ledger_insert_one_sql(kind, rows));
END $$;

-- What changes `table_name` without leaving an entry, or takes from it, is refused with the reason.
CREATE FUNCTION ledger_keep(table_name text, changing text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE fixed text;
BEGIN
  EXECUTE format('CREATE OR REPLACE TRIGGER kept_for_ever BEFORE DELETE %s OR TRUNCATE ON %I FOR EACH STATEMENT'
    ' EXECUTE FUNCTION kept_for_ever()', CASE WHEN cardinality(changing) = 0 THEN 'OR UPDATE' ELSE '' END, table_name);
  IF cardinality(changing) > 0 THEN
    SELECT string_agg(format('%I', attname), ', ') INTO fixed FROM pg_attribute
     WHERE attrelid = table_name::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL (changing);
    EXECUTE format('CREATE OR REPLACE TRIGGER only_some_columns_change BEFORE UPDATE OF %s ON %I FOR EACH STATEMENT'
      ' EXECUTE FUNCTION only_some_columns_change(%L)', fixed, table_name, array_to_string(changing, ', '));
  END IF;
END $$;

-- The FROM clause that gives `key` and `body` of the rows of `source`, and `k1`, `k2`, ... to join them by.
CREATE FUNCTION ledger_rows_sql(source text, key_columns text[], columns text[], hides_key boolean) RETURNS text
  LANGUAGE sql STABLE AS $$
  -- OFFSET 0 keeps the planner from writing a row out twice.
  SELECT format(
    '(SELECT %s AS key, row_to_json(r)::text AS body, %s FROM %I t CROSS JOIN LATERAL (SELECT %s) r OFFSET 0)',
    ledger_key_sql(key_columns, hides_key),
    (SELECT string_agg(format('t.%I AS k%s', name, place), ', ')
       FROM unnest(key_columns) WITH ORDINALITY k (name, place)),
    source,
    (SELECT string_agg(format('t.%I', name), ', ' ORDER BY place)
       FROM unnest(columns) WITH ORDINALITY c (name, place)))
$$;

CREATE FUNCTION ledger_cover(
  covered text, key_columns text[], columns text[], changing text[] DEFAULT '{}', hides_key boolean DEFAULT false,
  mode text DEFAULT 'entries') RETURNS void LANGUAGE plpgsql SET TimeZone = 'UTC' SET bytea_output = 'hex' AS $$
DECLARE
  next_version integer := (SELECT coalesce(max(version), 0) + 1 FROM ledger_coverage WHERE table_name = covered);
  present text := ledger_rows_sql(covered, key_columns, columns, hides_key) || ' n';
  new_rows text := ledger_rows_sql('new_rows', key_columns, columns, hides_key) || ' n';
  old_rows text := ledger_rows_sql('old_rows', key_columns, columns, hides_key) || ' o';
  same_key text := (SELECT string_agg(format('o.k%1$s = n.k%1$s', place), ' AND ')
                      FROM generate_subscripts(key_columns, 1) place);
  changed text := format(
    '(SELECT n.key, n.body FROM %s LEFT JOIN %s ON %s WHERE n.body IS DISTINCT FROM o.body) changed',
    new_rows, old_rows, same_key);
BEGIN
  INSERT INTO ledger_coverage (table_name, version, key_columns, columns, hides_key, mode)
  VALUES (covered, next_version, key_columns, columns, hides_key, mode);
  PERFORM ledger_keep(covered, changing);
  IF mode = 'entries' THEN
    PERFORM ledger_trigger(covered, 'insert', new_rows);
    PERFORM ledger_trigger(covered, 'update', changed);
    PERFORM ledger_trigger(covered, 'delete', old_rows);
    EXECUTE ledger_insert_sql(covered || CASE next_version WHEN 1 THEN '.insert' ELSE '.update' END, present);
  END IF;
END $$;

-- Rows that are only appended to are still locked, by a role that may not update them.
DO $do$ BEGIN
  EXECUTE format($sql$
    CREATE FUNCTION lock_call_checks(ids uuid[]) RETURNS SETOF call_checks
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = %1$I, pg_temp AS $body$
      SELECT * FROM call_checks WHERE check_id = ANY (ids) ORDER BY check_id FOR UPDATE $body$;
    CREATE FUNCTION lock_register_row(its_register text, its_id text) RETURNS void
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = %1$I, pg_temp AS $body$
      SELECT FROM register_rows WHERE register = its_register AND row_id = its_id FOR UPDATE $body$;
  $sql$, current_schema());
END $do$;
"""
