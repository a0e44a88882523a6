begin isolation level serializable;
select sum(amount) from purses;
update purses set amount = amount + 1 where id = :client_id + 1;
select pg_advisory_xact_lock_shared(1);
end;
