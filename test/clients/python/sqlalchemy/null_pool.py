"""NullPool: each of many threads connects for each unit of work, and pgweir is the only pool."""
import sys
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Column, Integer, create_engine, select, text
from sqlalchemy.orm import Session, declarative_base, sessionmaker
from sqlalchemy.pool import NullPool

THREADS, UNITS, ACCOUNTS = 64, 4, 10
Base = declarative_base()


class Account(Base):
    __tablename__ = "accounts"
    id = Column(Integer, primary_key=True)
    amount = Column(Integer, nullable=False)


class Changed(Exception):
    pass


engine = create_engine(sys.argv[1], poolclass=NullPool)
make_session = sessionmaker(engine)


def work(number):
    done = 0
    for turn in range(UNITS):
        source, target = (number + turn) % ACCOUNTS, (number * 7 + turn * 3 + 1) % ACCOUNTS
        try:
            with make_session.begin() as session:
                ids = sorted({source, target})
                accounts = session.scalars(select(Account).where(Account.id.in_(ids)).order_by(Account.id).with_for_update()).all()
                assert [account.id for account in accounts] == ids, (accounts, ids)
                accounts[0].amount -= number
                accounts[-1].amount += number
                marked = session.execute(text("select :number, :turn, pg_backend_pid()"), {"number": number, "turn": turn}).one()
                assert tuple(marked)[:2] == (number, turn), marked
                session.flush()
                # The whole unit of work is on one server, whatever the others do.
                assert session.scalar(text("select pg_backend_pid()")) == marked[2]
                if turn % 4 == 3:
                    raise Changed("a change of mind")
            done += 1
        except Changed:
            pass
    return done


Base.metadata.create_all(engine)
with make_session.begin() as session:
    session.add_all([Account(id=i, amount=1000) for i in range(ACCOUNTS)])
with ThreadPoolExecutor(THREADS) as executor:
    print(sum(executor.map(work, range(THREADS))))
with Session(engine) as session:
    print(session.scalar(text("select sum(amount) from accounts")))
    print([account.amount for account in session.scalars(select(Account).order_by(Account.id))])
