// Sixty people want two seats each, in forty threads, and there are a hundred seats.
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.net.URI;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import javax.sql.DataSource;

public class App {
    static final int SEATS = 100, BUYERS = 60, THREADS = 40;

    static HikariDataSource connect(URI server) {
        String[] login = server.getUserInfo().split(":");
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl("jdbc:postgresql://" + server.getHost() + ":" + server.getPort() + server.getPath());
        config.setUsername(login[0]);
        config.setPassword(login[1]);
        // One connection per thread: they are clients of pgweir, and cost PostgreSQL nothing.
        config.setMaximumPoolSize(THREADS);
        // HikariCP tests a connection before it gives it to a thread, and the test may have to wait for a server.
        config.setConnectionTimeout(60_000);
        config.setValidationTimeout(30_000);
        // Give session settings here, not in connectionInitSql: pgweir applies them to each server that works for this client.
        config.addDataSourceProperty("ApplicationName", "tickets");
        config.addDataSourceProperty("options", "-c statement_timeout=30s -c lock_timeout=20s");
        // How often the driver runs a statement before it prepares it on the server. The default is 5; it need not be 0.
        config.addDataSourceProperty("prepareThreshold", "3");
        return new HikariDataSource(config);
    }

    static void createTables(DataSource source) throws SQLException {
        try (Connection connection = source.getConnection(); Statement statement = connection.createStatement()) {
            statement.execute("create table if not exists events (id serial primary key, name text not null, seats_left int not null)");
            statement.execute("create table if not exists bookings "
                + "(id serial primary key, event_id int not null references events, buyer text not null, seats int not null)");
        }
    }

    static int createEvent(DataSource source) throws SQLException {
        try (Connection connection = source.getConnection();
                PreparedStatement insert = connection.prepareStatement("insert into events (name, seats_left) values (?, ?) returning id")) {
            insert.setString(1, "Gala");
            insert.setInt(2, SEATS);
            return onlyInt(insert.executeQuery());
        }
    }

    static boolean buy(DataSource source, int event, int buyer) throws SQLException {
        try (Connection connection = source.getConnection()) {
            connection.setAutoCommit(false);
            try (PreparedStatement take = connection.prepareStatement("update events set seats_left = seats_left - 2 where id = ? and seats_left >= 2");
                    PreparedStatement book = connection.prepareStatement("insert into bookings (event_id, buyer, seats) values (?, ?, 2)")) {
                take.setInt(1, event);
                if (take.executeUpdate() == 0) {
                    connection.rollback();
                    return false;
                }
                book.setInt(1, event);
                book.setString(2, "buyer " + buyer);
                book.executeUpdate();
                connection.commit();
                return true;
            } catch (SQLException error) {
                connection.rollback();
                throw error;
            }
        }
    }

    /** Reads a few rows at a time, with a cursor in the transaction. */
    static int readBookings(DataSource source, int event) throws SQLException {
        try (Connection connection = source.getConnection()) {
            connection.setAutoCommit(false);
            int seats = 0;
            try (PreparedStatement select = connection.prepareStatement("select seats from bookings where event_id = ?")) {
                select.setInt(1, event);
                select.setFetchSize(10);
                for (ResultSet rows = select.executeQuery(); rows.next();) seats += rows.getInt(1);
            }
            connection.commit();
            return seats;
        }
    }

    static String timeouts(DataSource source) throws SQLException {
        try (Connection connection = source.getConnection();
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("select concat_ws(', ', current_setting('statement_timeout'), current_setting('lock_timeout'))")) {
            row.next();
            return row.getString(1);
        }
    }

    static int onlyInt(ResultSet result) throws SQLException {
        result.next();
        return result.getInt(1);
    }

    static <T> List<T> inThreads(int count, Work<T> work) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(THREADS);
        try {
            List<Callable<T>> calls = IntStream.range(0, count).<Callable<T>>mapToObj(number -> () -> work.run(number)).toList();
            List<T> results = new ArrayList<>();
            for (Future<T> future : threads.invokeAll(calls)) results.add(future.get());
            return results;
        } finally {
            threads.shutdown();
        }
    }

    interface Work<T> {
        T run(int number) throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        try (HikariDataSource source = connect(URI.create(System.getenv("DATABASE_URL")))) {
            createTables(source);
            int event = createEvent(source);
            long bought = inThreads(BUYERS, buyer -> buy(source, event, buyer)).stream().filter(done -> done).count();
            int left;
            try (Connection connection = source.getConnection(); Statement statement = connection.createStatement()) {
                left = onlyInt(statement.executeQuery("select seats_left from events where id = " + event));
            }
            System.out.println(bought + " of " + BUYERS + " buyers have seats, " + left + " of " + SEATS + " seats are left");
            System.out.println("a cursor reads " + readBookings(source, event) + " seats");
            System.out.println("timeouts: " + String.join(" or ", new TreeSet<>(inThreads(BUYERS, number -> timeouts(source)))));
        }
    }
}
