// What JDBC was told of the rows of a statement when it ran it first, it goes by for ever: tables change, and it must not read them wrongly.
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

public class ChangedTables {
    static Connection connect(String options) throws SQLException {
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        return DriverManager.getConnection(url + options, System.getenv("PGUSER"), System.getenv("PGPASSWORD"));
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection reader = connect("?prepareThreshold=1"); Connection other = connect("?preferQueryMode=simple")) {
            for (String change : new String[] {
                "alter table things add column colour text default 'red'",
                "alter table things drop column size; alter table things add column size text default 'huge'",
                "alter table things rename column size to weight",
            }) {
                run(other, "drop table if exists things; create table things (id int, size int); insert into things values (1, 77)");
                try (PreparedStatement statement = reader.prepareStatement("select * from things")) {
                    for (int time = 0; time < 3; time++) show(statement);
                    run(other, change);
                    // Its statement is still there with PostgreSQL itself, and is not any more on the server that the two have in common.
                    run(other, "discard all");
                    for (int time = 0; time < 3; time++) show(statement);
                }
            }
        }
    }

    static void run(Connection connection, String text) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute(text);
        }
    }

    static void show(PreparedStatement statement) throws SQLException {
        try (ResultSet rows = statement.executeQuery()) {
            rows.next();
            StringBuilder row = new StringBuilder();
            for (int column = 1; column <= rows.getMetaData().getColumnCount(); column++)
                row.append(rows.getMetaData().getColumnName(column)).append('=').append(rows.getString(column)).append(' ');
            System.out.println(row);
        }
    }
}
