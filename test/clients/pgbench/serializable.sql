\set from random(1, 4)
\set to random(1, 4)
begin isolation level serializable;
select sum(amount) from purses;
update purses set amount = amount - 1 where id = :from;
update purses set amount = amount + 1 where id = :to;
end;
