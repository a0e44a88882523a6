"""An ORM unit of work: flushes, rollbacks, savepoints, conflicts, bulk inserts, streams, reflection."""
import sys

from sqlalchemy import Column, ForeignKey, Integer, Numeric, String, UniqueConstraint, create_engine, func, inspect, select, update
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session, declarative_base, relationship, selectinload

Base = declarative_base()


class Author(Base):
    __tablename__ = "authors"
    id = Column(Integer, primary_key=True)
    name = Column(String(50), nullable=False, unique=True)
    tags = Column(ARRAY(String))
    data = Column(JSONB)
    books = relationship("Book", back_populates="author", cascade="all, delete-orphan", order_by="Book.id")


class Book(Base):
    __tablename__ = "books"
    __table_args__ = (UniqueConstraint("author_id", "title", name="one_title"),)
    id = Column(Integer, primary_key=True)
    title = Column(String, nullable=False)
    price = Column(Numeric(8, 2))
    author_id = Column(ForeignKey("authors.id"))
    author = relationship(Author, back_populates="books")


engine = create_engine(sys.argv[1], pool_pre_ping=True)
Base.metadata.create_all(engine)
Base.metadata.create_all(engine)
print(sorted(inspect(engine).get_table_names()), [c["name"] for c in inspect(engine).get_columns("books")])
print(inspect(engine).get_unique_constraints("books"), inspect(engine).get_foreign_keys("books")[0]["referred_table"])

with Session(engine) as session:
    ada = Author(name="Ada", tags=["one", "two"], data={"née": ["Byron"]})
    ada.books = [Book(title=f"book {i}", price=i) for i in range(3)]
    session.add_all([ada, Author(name="Bob")])
    session.commit()
    print(ada.id, [book.id for book in ada.books], ada.data)

    ada.books[0].title = "renamed"
    session.flush()
    session.rollback()
    print(ada.books[0].title)

    # A savepoint that fails leaves the rest alone.
    ada.books.append(Book(title="kept"))
    try:
        with session.begin_nested():
            session.add(Author(name="Bob"))
    except IntegrityError as error:
        print(error.orig.__class__.__name__, error.orig.pgcode if hasattr(error.orig, "pgcode") else error.orig.sqlstate)
    session.commit()
    print(session.scalar(select(func.count()).select_from(Book)))

    try:
        session.add(Book(title="kept", author_id=ada.id))
        session.commit()
    except IntegrityError as error:
        print("one_title" in str(error))
        session.rollback()

with Session(engine) as session:
    session.bulk_save_objects([Book(title=f"bulk {i}", price=i, author_id=2) for i in range(3000)])
    session.execute(insert(Author).values(name="Ada").on_conflict_do_update(index_elements=["name"], set_={"tags": ["upserted"]}))
    print(session.execute(update(Book).where(Book.price > 2990).values(price=Book.price * 2).returning(Book.title)).all()[:2])
    session.commit()
    authors = session.scalars(select(Author).options(selectinload(Author.books)).order_by(Author.id)).all()
    print([(author.name, author.tags, len(author.books)) for author in authors])
    locked = session.scalars(select(Book).where(Book.title == "kept").with_for_update()).one()
    session.delete(locked)
    session.commit()
    print(session.scalar(select(func.count()).where(Book.title == "kept")))
    session.delete(session.get(Author, 2))
    session.commit()
    print(session.scalar(select(func.count()).select_from(Book)))

with engine.connect().execution_options(stream_results=True, yield_per=100) as connection:
    print(sum(row[0] for row in connection.execute(select(func.generate_series(1, 1000)))))
with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
    connection.exec_driver_sql("vacuum books")
    try:
        connection.exec_driver_sql("select 1 / 0")
    except DBAPIError as error:
        print(error.orig.__class__.__name__)
    print(connection.scalar(select(func.count()).select_from(Author)))
with engine.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
    print(connection.exec_driver_sql("show transaction_isolation").scalar())
with engine.connect() as connection:
    print(connection.exec_driver_sql("show transaction_isolation").scalar())
Base.metadata.drop_all(engine)
print(inspect(engine).get_table_names())
engine.dispose()
