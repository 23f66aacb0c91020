-- agent:outbox_hidden
-- Whether row-level security applies to this role on the outbox, and for which of SELECT and UPDATE no policy lets it see a
-- row: it then sees none, and no error says so.
-- Parameters: $1 the outbox with its schema, quoted.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT string_agg(k.word, ' and ' ORDER BY k.word) AS without_policy
FROM (VALUES ('SELECT', 'r'), ('UPDATE', 'w')) AS k (word, letter)
WHERE row_security_active($1::text)
    AND NOT EXISTS (
        SELECT 1
        FROM pg_catalog.pg_policy AS p
        WHERE p.polrelid = to_regclass($1::text) AND p.polpermissive AND p.polcmd IN ('*', k.letter)
            AND EXISTS (
                SELECT 1 FROM unnest(p.polroles) AS r (oid)
                WHERE r.oid = 0 OR pg_catalog.pg_has_role(r.oid, 'USAGE')))
