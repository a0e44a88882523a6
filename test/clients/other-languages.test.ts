/** Drivers of PHP, Perl, Ruby and Java, which prepare and drop statements in different ways. */

import { promise } from './support/compare.ts'

const JAVA = ['-XX:TieredStopAtLevel=1', '-cp', '/usr/share/java/postgresql.jar']
const JDBC = [...JAVA, 'java/Jdbc.java', '30']

promise({
  'PHP’s PDO prepares statements on the server': { program: 'php', args: ['-d', 'zend.assertions=1', 'php/pdo.php'] },
  'PHP’s pg_ functions work': { program: 'php', args: ['php/pgsql.php'] },
  'Perl’s DBD::Pg works': { program: 'perl', args: ['perl/dbi.pl'] },
  'Ruby’s pg works': { program: 'ruby', args: ['ruby/pg.rb'] },
  'Java’s JDBC works, with 30 threads on few servers': { program: 'java', args: JDBC },
  'Java’s JDBC correctly reads tables that have changed since it described them': {
    program: 'java',
    args: [...JAVA, 'java/ChangedTables.java'],
    size: 1,
    modes: ['transaction'],
  },
})
