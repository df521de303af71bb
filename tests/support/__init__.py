"""What the tests stand on: throwaway servers, a fault proxy, real service processes, bounded waiting."""
