ALTER TABLE letter DROP CONSTRAINT ck_letter_kind;
ALTER TABLE letter ADD CONSTRAINT ck_letter_kind
  CHECK (kind in ('account_sick','account_well','digest','webhook_off','mail_held'));

-- Members with mail that was held back since they were last told so, and who were told nothing of that kind since then.
CREATE FUNCTION public.threadlink_held_to_tell(_since timestamptz, _limit integer)
RETURNS TABLE (team_id bigint, member_id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT a.team_id, a.owner_id FROM public.received_mail r
  JOIN public.account a ON a.team_id = r.team_id AND a.id = r.account_id
  JOIN public.member m ON m.team_id = a.team_id AND m.id = a.owner_id AND m.removed_at IS NULL
  WHERE r.held_why <> '' AND r.released_by IS NULL
    AND NOT EXISTS (SELECT FROM public.letter l
                    WHERE l.team_id = a.team_id AND l.member_id = a.owner_id AND l.kind = 'mail_held'
                      AND (l.made_at > r.received_at OR l.made_at > _since))
  GROUP BY 1, 2 ORDER BY 1, 2 LIMIT _limit
$$;
REVOKE EXECUTE ON FUNCTION public.threadlink_held_to_tell(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.threadlink_held_to_tell(timestamptz, integer) TO threadlink_app;
