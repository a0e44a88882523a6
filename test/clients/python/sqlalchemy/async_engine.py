"""An async engine on asyncpg: its named statements, and many tasks with sessions of their own."""
import asyncio

from sqlalchemy import Column, Integer, String, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import declarative_base
from sqlalchemy.pool import NullPool

Base = declarative_base()


class Thing(Base):
    __tablename__ = "things"
    id = Column(Integer, primary_key=True)
    name = Column(String, unique=True)


async def work(engine, number):
    for turn in range(3):
        async with AsyncSession(engine) as session, session.begin():
            row = (await session.execute(text("select cast(:a as int), cast(:b as int)"), {"a": number, "b": turn})).one()
            assert tuple(row) == (number, turn), row
            session.add(Thing(name=f"{number}/{turn}"))
            await session.flush()
            if turn == 2:
                await session.rollback()
    return number


async def main():
    for options in ({"pool_size": 10, "pool_pre_ping": True}, {"poolclass": NullPool}):
        engine = create_async_engine("postgresql+asyncpg://", **options)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        print(sum(await asyncio.gather(*(work(engine, number) for number in range(20)))))
        async with AsyncSession(engine) as session:
            things = (await session.scalars(select(Thing))).all()
            print(len(things), len({thing.name for thing in things}))
            try:
                session.add(Thing(name="1/1"))
                await session.commit()
            except IntegrityError:
                await session.rollback()
            try:
                await session.execute(text("select 1 / 0"))
            except DBAPIError as error:
                print(error.orig.sqlstate)
                await session.rollback()
            print(await session.scalar(text("select 'alive'")))
        async with engine.connect() as connection:
            total = 0
            async for row in await connection.stream(text("select i from generate_series(1, 1000) i")):
                total += row.i
            print(total)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
        await engine.dispose()


asyncio.run(main())
