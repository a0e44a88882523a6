/** Drivers of PHP, Perl, Ruby and Java: each has its own idea of when to prepare a statement, and how to drop it. */

import { promise } from './support/compare.ts'

const JAVA = ['-XX:TieredStopAtLevel=1', '-cp', '/usr/share/java/postgresql.jar']
const JDBC = [...JAVA, 'java/Jdbc.java', '30']

promise({
  'PHP’s PDO prepares statements on the server': { program: 'php', args: ['-d', 'zend.assertions=1', 'php/pdo.php'] },
  'PHP’s pg_ functions': { program: 'php', args: ['php/pgsql.php'] },
  'Perl’s DBD::Pg': { program: 'perl', args: ['perl/dbi.pl'] },
  'Ruby’s pg': { program: 'ruby', args: ['ruby/pg.rb'] },
  'Java’s JDBC, and 30 threads of it on few servers': { program: 'java', args: JDBC },
  'Java’s JDBC reads tables right that have changed since it was told of them': {
    program: 'java',
    args: [...JAVA, 'java/ChangedTables.java'],
    size: 1,
    modes: ['transaction'],
  },
})
